"""What is taken of a gang's files depends on what its workers left, and not on who ended first."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from connectors.ray.left_files import Answer, LeftFile, LeftFiles, TakenFile, name_apart

#: By rank and name: the content, by a letter, and its size.
Gang = dict[tuple[int, str], tuple[str, int]]
ALL = range(10)
names = st.sampled_from(["a", "a/b", "a/b/c", "b", "worker-1", "worker-1/a", "worker-2/a", "worker-2_/a"])
#: Each worker has one content of a name.
gangs = st.dictionaries(st.tuples(st.integers(0, 3), names), st.tuples(st.sampled_from("xyz"), st.integers(0, 3)))


def files_of(gang: Gang) -> list[LeftFile]:
    return [LeftFile(rank, name, size, f"{text}{size}") for (rank, name), (text, size) in gang.items()]


def told(files: Sequence[LeftFile], bytes_max: int, files_max: int = 1000) -> LeftFiles:
    known = LeftFiles(bytes_max, files_max=files_max)
    for file in files:
        known.tell(file)
    return known


def taken_slowly(files: Sequence[LeftFile]) -> list[tuple[str, str, int]]:
    """Names, contents and lowest ranks of what is taken where all fits: one of each content of a name."""
    lowest: dict[tuple[str, str], int] = {}
    for file in files:
        lowest[file.name, file.digest] = min(file.rank, lowest.get((file.name, file.digest), file.rank))
    return sorted((name, digest, rank) for (name, digest), rank in lowest.items())


@given(gangs, st.randoms())
def test_whoever_ends_first_the_same_files_are_taken_under_the_same_names(gang: Gang, dice: Random) -> None:
    files = files_of(gang)
    ended = sorted(files, key=lambda file: (dice.random(), file.name))
    content = {(file.rank, file.name): file.digest for file in files}
    found = told(ended, 1000).taken(ALL)
    expected = told(sorted(files, key=lambda file: (file.rank, file.name)), 1000).taken(ALL)
    assert [(file.named, content[file.sender, file.name]) for file in found] == [
        (file.named, content[file.sender, file.name]) for file in expected
    ]
    slowly = taken_slowly(files)
    assert sorted((file.name, content[file.sender, file.name]) for file in found) == [each[:2] for each in slowly]


@given(gangs)
def test_the_lowest_rank_that_left_a_name_keeps_it_unless_a_folder_stands_there(gang: Gang) -> None:
    files = files_of(gang)
    content = {(file.rank, file.name): file.digest for file in files}
    named = {file.named: content[file.sender, file.name] for file in told(files, 1000).taken(ALL)}
    for name in {file.name for file in files}:
        first = min((file for file in files if file.name == name), key=lambda file: file.rank)
        in_the_way = any(
            each.rank <= first.rank and (each.name.startswith(f"{name}/") or name.startswith(f"{each.name}/"))
            for each in files
        )
        assert in_the_way or named[name] == first.digest


@given(st.lists(st.tuples(st.integers(0, 3), names)).map(sorted))
def test_names_are_ones_that_one_folder_can_hold(files: list[tuple[int, str]]) -> None:
    named = name_apart(files)
    assert len({*named}) == len(files)
    assert not any(other.startswith(f"{name}/") for name in named for other in named)
    for (rank, name), each in zip(files, named, strict=True):
        assert each == name or (each.startswith(f"worker-{rank}") and each.endswith(f"/{name}"))


@given(gangs, st.integers(0, 6), st.randoms(), st.sets(st.integers(0, 3)))
def test_what_is_taken_keeps_to_the_limit_and_lacks_only_what_was_not_sent(
    gang: Gang,
    bytes_max: int,
    dice: Random,
    arrived: set[int],
) -> None:
    files = sorted(files_of(gang), key=lambda file: (dice.random(), file.name))
    known = LeftFiles(bytes_max)
    sent = [file for file in files if known.tell(file) is Answer.SEND]
    taken, displaced = known.taken(arrived), known.displaced(arrived)
    assert sum(file.bytes for file in taken) <= bytes_max
    assert {(file.sender, file.name) for file in taken} <= {(file.rank, file.name) for file in sent}
    assert len(taken) + len(displaced) == sum(file.rank in arrived for file in sent)
    assert known.sent_bytes(1) == sum(file.bytes for file in sent if file.rank == 1)


@given(gangs, st.integers(0, 6), st.integers(1, 4))
def test_a_word_that_is_told_again_has_the_same_answer(gang: Gang, bytes_max: int, files_max: int) -> None:
    known = LeftFiles(bytes_max, files_max=files_max)
    for file in files_of(gang):
        answer = known.tell(file)
        changes = known.changes
        assert (known.tell(file), known.changes) == (answer, changes)


def test_the_limit_goes_to_lower_ranks_first_whoever_ended_first() -> None:
    known = LeftFiles(10)
    assert known.tell(LeftFile(1, "late", 8, "b")) is Answer.SEND
    assert known.tell(LeftFile(0, "model", 9, "a")) is Answer.SEND
    assert known.tell(LeftFile(2, "more", 2, "c")) is Answer.LARGE
    assert known.taken(ALL) == [TakenFile(0, "model", 9, "model")]
    assert known.displaced(ALL) == [(1, "late")]


def test_what_did_not_arrive_makes_room_for_others() -> None:
    known = told([LeftFile(1, "late", 8, "b"), LeftFile(0, "model", 9, "a")], 10)
    assert [file.name for file in known.taken({1})] == ["late"]


def test_what_two_workers_left_alike_is_the_lower_one_s() -> None:
    known = told([LeftFile(2, "a", 1, "x"), LeftFile(1, "a", 1, "y"), LeftFile(0, "a", 1, "x")], 10)
    assert [(file.sender, file.named) for file in known.taken(ALL)] == [(2, "a"), (1, "worker-1/a")]


def test_no_more_files_are_taken_than_an_archive_may_have() -> None:
    known = LeftFiles(10, files_max=1)
    assert known.tell(LeftFile(0, "a", 1, "x")) is Answer.SEND
    assert known.tell(LeftFile(0, "b", 1, "x")) is Answer.MANY
    assert known.tell(LeftFile(1, "a", 1, "x")) is Answer.SAME
