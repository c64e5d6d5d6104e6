"""Logs: one stream without gaps, however its pieces come."""

from __future__ import annotations

import random
import threading

from example_count import examples
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from scheduler.store import logs
from scheduler.store.database import Database


def append(
    database: Database, offset: int, data: bytes, *, run_id: int = 1, rank: int = 0, bytes_max: int = 1000
) -> int:
    return database.run(
        lambda transaction: logs.append(
            transaction, run_id=run_id, rank=rank, offset=offset, data=data, bytes_max=bytes_max
        )
    )


def whole(database: Database, *, run_id: int = 1, rank: int = 0) -> bytes:
    with database.read() as connection:
        return logs.read(connection, run_id=run_id, rank=rank, offset=0).data


def test_pieces_go_on_where_the_log_ends(database: Database) -> None:
    assert append(database, 0, b"hello ") == 6
    assert append(database, 6, b"world") == 11
    assert whole(database) == b"hello world"


def test_a_repeated_piece_is_kept_once(database: Database) -> None:
    append(database, 0, b"hello ")
    assert append(database, 0, b"hello ") == 6
    assert append(database, 3, b"lo world") == 11
    assert whole(database) == b"hello world"


def test_a_piece_beyond_the_end_is_not_kept_and_the_answer_is_the_gap(database: Database) -> None:
    append(database, 0, b"hello")
    assert append(database, 9, b"late") == 5
    assert whole(database) == b"hello"


def test_workers_and_runs_have_logs_of_their_own(database: Database) -> None:
    append(database, 0, b"a", rank=0)
    append(database, 0, b"b", rank=1)
    append(database, 0, b"c", run_id=2)
    assert [whole(database), whole(database, rank=1), whole(database, run_id=2)] == [b"a", b"b", b"c"]


def test_beyond_its_cap_a_log_is_taken_and_dropped_so_that_the_sender_goes_on(database: Database) -> None:
    assert append(database, 0, b"0123456789", bytes_max=8) == 10
    assert append(database, 10, b"more", bytes_max=8) == 14
    assert append(database, 500, b"after a restart of the sender", bytes_max=8) == 529
    assert whole(database) == b"01234567"


def test_a_range_is_read_from_any_offset(database: Database) -> None:
    append(database, 0, b"abc")
    append(database, 3, b"defgh")
    append(database, 8, b"ij")
    with database.read() as connection:
        for offset in range(12):
            for bytes_max in range(12):
                piece = logs.read(connection, run_id=1, rank=0, offset=offset, bytes_max=bytes_max)
                assert (piece.data, piece.offset, piece.end) == (
                    b"abcdefghij"[offset : offset + bytes_max], offset, 10
                )  # fmt: skip
        assert logs.read(connection, run_id=9, rank=0, offset=0).end == 0


def test_two_servers_given_overlapping_pieces_keep_one_stream(database: Database) -> None:
    text = bytes(random.Random(1).randbytes(4000))

    def send(seed: int) -> None:
        chance, offset = random.Random(seed), 0
        while offset < len(text):
            offset = append(database, offset, text[offset : offset + chance.randint(1, 400)], bytes_max=10_000)

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert whole(database) == text


@settings(max_examples=examples(40), deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(pieces=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 15)), max_size=12), data=st.data())
def test_whatever_arrives_the_log_is_a_prefix_of_the_truth(
    database: Database, pieces: list[tuple[int, int]], data: st.DataObject
) -> None:
    text = bytes(range(60))
    run_id = data.draw(st.integers(1, 10**9))
    with database.read() as connection:
        known = logs.end(connection, run_id, 0)
    for offset, length in pieces:
        wanted = append(database, offset, text[offset : offset + length], run_id=run_id)
        assert wanted == (max(known, offset + length) if offset <= known else known)
        known = wanted
        assert whole(database, run_id=run_id) == text[:known]
