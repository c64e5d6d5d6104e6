"""How long jobs are thought to run: the last two like ones by a plain list, and what is left of a run that goes on."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given
from hypothesis import strategies as st

from scheduler.cycle.facts import LiveRun
from scheduler.cycle.prediction import RUN_MS_MAX, Like, Prediction, RunTimes, Scope, left_ms, likes_of, likes_on
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, SiteId
from scheduler.model.run_time import ClassBasis

#: (person, group, GPUs, run time)
Ended = tuple[int, int, int, int]
HISTORY = st.lists(
    st.tuples(st.integers(1, 3), st.integers(1, 2), st.sampled_from((1, 8)), st.integers(0, 100)), max_size=12
)
TIMES = st.integers(0, 1_000)


def plainly(history: list[Ended], person: int, group: int, gpus: int) -> Prediction | None:
    """Go through the whole history for each kind, the closest first."""
    kinds = {
        Scope.PERSON: [each for each in history if (each[0], each[2]) == (person, gpus)],
        Scope.GROUP: [each for each in history if (each[1], each[2]) == (group, gpus)],
        Scope.SIZE: [each for each in history if each[2] == gpus],
    }
    for scope, like in kinds.items():
        if like:
            times = [each[3] for each in like[-2:]]
            return Prediction(sum(times) // len(times), scope)
    return None


@given(HISTORY, st.integers(1, 4), st.integers(1, 3), st.sampled_from((1, 8)), st.none() | st.integers(1, 100))
def test_a_prediction_is_what_a_walk_through_all_that_has_ended_says(
    history: list[Ended], person: int, group: int, gpus: int, walltime_ms: int | None
) -> None:
    known = RunTimes()
    for ended in history:
        known.saw(likes_of(*ended[:3]), ended[3])
    expected = plainly(history, person, group, gpus)
    if expected is not None and walltime_ms is not None:
        expected = expected._replace(run_ms=min(expected.run_ms, walltime_ms))
    assert known.of(likes_of(person, group, gpus), walltime_ms) == expected


@given(HISTORY)
def test_what_is_written_down_of_each_kind_is_all_that_is_needed(history: list[Ended]) -> None:
    followed = RunTimes()
    kept: dict[Like, tuple[int, ...]] = {}
    for person, group, gpus, run_ms in history:
        followed.saw(likes_of(person, group, gpus), run_ms)
        for like in likes_of(person, group, gpus):
            kept[like] = followed.last_ms(like)
            assert len(kept[like]) <= 2
    anew = RunTimes()
    for like, last_ms in kept.items():
        anew.put(like, last_ms)
    for person, group, gpus, _ in history:
        likes = likes_of(person, group, gpus)
        assert anew.of(likes) == followed.of(likes)


#: (person, group, GPUs, run time, GPU class)
ENDED_ON = st.tuples(
    st.integers(1, 3),
    st.integers(1, 2),
    st.sampled_from((1, 8)),
    st.integers(0, 100),
    st.sampled_from(("a", "b", "c", "")),
)


def plainly_on(
    history: list[tuple[int, int, int, int, str]],
    likes: tuple[Like, ...],
    gpu_class: str,
    declared: dict[str, float],
    general: dict[str, float],
) -> Prediction | None:
    """Go through the whole history for each kind and class; a kind with nothing is asked of the next wider one."""

    def took(like: Like, on: str | None) -> int | None:
        owner = {Scope.PERSON: 0, Scope.GROUP: 1}
        times = [
            each[3]
            for each in history
            if each[2] == like.gpus
            and (like.scope is Scope.SIZE or each[owner[like.scope]] == like.owner)
            and (on is None or each[4] == on)
        ][-2:]
        return sum(times) // len(times) if times else None

    closest = next((like for like in likes if took(like, None) is not None), None)
    if closest is None:
        return None

    def scaled(speeds: dict[str, float]) -> list[int]:
        elsewhere = [(took(closest, other), speed) for other, speed in speeds.items() if gpu_class in speeds]
        return [round(took_ms * speed / speeds[gpu_class]) for took_ms, speed in elsewhere if took_ms is not None]

    there, all_of_it = took(closest, gpu_class), took(closest, None)
    assert all_of_it is not None
    answers = [] if there is None else [(there, ClassBasis.MEASURED)]
    answers += [(each, ClassBasis.DECLARED) for each in scaled(declared)]
    answers += [(each, ClassBasis.GENERAL) for each in scaled(general)]
    run_ms, class_basis = [*answers, (all_of_it, ClassBasis.ALL)][0]
    return Prediction(run_ms, closest.scope, class_basis)


SPEEDS = st.dictionaries(st.sampled_from("abc"), st.sampled_from((0.3, 1.0, 2.5)))


@given(
    st.lists(ENDED_ON, max_size=16),
    st.integers(1, 4),
    st.integers(1, 3),
    st.sampled_from((1, 8)),
    st.sampled_from("abc"),
    SPEEDS,
    SPEEDS,
)
def test_a_prediction_on_a_class_is_what_a_walk_through_all_that_has_ended_on_each_says(
    history: list[tuple[int, int, int, int, str]],
    person: int,
    group: int,
    gpus: int,
    gpu_class: str,
    declared: dict[str, float],
    general: dict[str, float],
) -> None:
    known, anew = RunTimes(), RunTimes()
    for ended in history:
        likes = likes_of(*ended[:3])
        known.saw(likes, ended[3], ended[4])
        for like in likes_on(likes, ended[4]):
            anew.put(like, known.last_ms(like))
    for each in (known, anew):
        each.put_speeds(general)
    likes = likes_of(person, group, gpus)
    found = known.of(likes, gpu_class=gpu_class, speeds=declared)
    assert found == plainly_on(history, likes, gpu_class, declared, general)
    assert anew.of(likes, gpu_class=gpu_class, speeds=declared) == found, "what is written down is all that is needed"


@given(
    st.integers(0, RUN_MS_MAX),
    st.floats(0, 1_000, exclude_min=True),
    st.floats(0, 1_000, exclude_min=True),
    st.booleans(),
)
def test_no_speed_that_anybody_may_write_makes_a_prediction_that_cannot_be_kept(
    run_ms: int, there: float, here: float, declares: bool
) -> None:
    known, likes, speeds = RunTimes(), likes_of(1, 1, 8), {"a": there, "b": here}
    known.saw(likes, run_ms, "a")
    known.put_speeds(speeds)
    found = known.of(likes, gpu_class="b", speeds=speeds if declares else {})
    assert found is not None and 0 <= found.run_ms <= RUN_MS_MAX


def test_who_never_ran_on_a_class_is_predicted_by_what_their_jobs_took_elsewhere() -> None:
    known = RunTimes()
    known.saw(likes_of(1, 1, 8), 100, "h100")
    known.saw(likes_of(2, 1, 8), 5_000, "a100")
    mine = likes_of(1, 1, 8)
    as_it_stands = (100, Scope.PERSON, ClassBasis.ALL)
    assert known.of(mine, gpu_class="a100") == as_it_stands, "5,000 is somebody else's jobs"
    known.put_speeds({"a100": 0.5, "h100": 1.0})
    assert known.of(mine, gpu_class="a100") == (200, Scope.PERSON, ClassBasis.GENERAL)
    declared = {"h100": 1.0, "a100": 0.4}
    assert known.of(mine, gpu_class="a100", speeds=declared) == (250, Scope.PERSON, ClassBasis.DECLARED)
    of_others = {"b200": 3.0, "a100": 0.4}
    assert known.of(mine, gpu_class="a100", speeds=of_others) == (200, Scope.PERSON, ClassBasis.GENERAL)
    assert known.of(mine, gpu_class="b200", speeds=of_others) == as_it_stands, "nobody compares it to h100"
    known.saw(mine, 200, "a100")
    assert known.of(mine, gpu_class="a100", speeds=declared) == (200, Scope.PERSON, ClassBasis.MEASURED)
    assert known.of(mine, gpu_class="h100") == (100, Scope.PERSON, ClassBasis.MEASURED)
    assert known.of(mine) == (150, Scope.PERSON, ClassBasis.ALL), "on whatever it is"
    assert known.of(mine, 120, "a100") == (120, Scope.PERSON, ClassBasis.MEASURED), "never above the walltime"


def test_who_has_no_name_is_like_nobody_of_their_own() -> None:
    known = RunTimes()
    known.saw(likes_of(None, 1, 8), 10)
    known.saw(likes_of(None, 2, 8), 30)
    assert known.of(likes_of(None, 1, 8)) == (10, Scope.GROUP, ClassBasis.ALL)
    assert known.of(likes_of(None, 3, 8)) == (20, Scope.SIZE, ClassBasis.ALL)


@given(st.none() | TIMES, TIMES)
def test_what_is_left_is_the_rest_of_the_prediction_or_as_much_as_was_had(whole_ms: int | None, had_ms: int) -> None:
    left = left_ms(whole_ms, had_ms)
    assert left == (had_ms if whole_ms is None or had_ms > whole_ms else whole_ms - had_ms)


@given(st.none() | TIMES, TIMES, TIMES, st.none() | TIMES, st.booleans())
def test_a_run_likely_ends_as_predicted_and_never_after_its_walltime(
    predicted_ms: int | None, served_ms: int, ran_ms: int, walltime_ms: int | None, leaving: bool
) -> None:
    started_ms = 5_000
    over_ms = None if walltime_ms is None else started_ms + walltime_ms
    run = LiveRun(
        id=RunId(1), job=JobId(1), group=GroupId(1), site=SiteId(1), gpu_class="h100", gpus_per_worker=1,
        cpus_per_worker=1, memory_mib_per_worker=1, gang=((NodeId(1), 1),), started_ms=started_ms,
        expected_end_ms=over_ms, predicted_ms=predicted_ms, served_ms=served_ms, leaving=leaving,
    )  # fmt: skip
    now_ms = started_ms + ran_ms
    likely_ms = run.likely_end_ms(now_ms)
    if leaving or predicted_ms is None:
        assert likely_ms == over_ms
        return
    assert likely_ms is not None
    assert over_ms is None or likely_ms <= over_ms
    free = replace(run, expected_end_ms=None).likely_end_ms(now_ms)
    assert free is not None and free >= now_ms
    assert likely_ms == (free if over_ms is None else min(free, over_ms))
    if served_ms + ran_ms <= predicted_ms:
        assert free == started_ms + predicted_ms - served_ms, "the same whenever one asks"
    else:
        assert free - now_ms == served_ms + ran_ms, "as long again"
