"""The content store: whole and verified, or not there."""

from __future__ import annotations

import hashlib
import threading

import pytest
from sqlalchemy import delete, func, select
from store_rows import add_person

from scheduler.model.reason import ReasonCode, Refusal
from scheduler.store import content
from scheduler.store.content import PART_BYTES, Incoming, Stored
from scheduler.store.content_tables import content_parts, contents
from scheduler.store.database import Database


def digest_of(data: bytes) -> str:
    return f"sha256:{hashlib.sha256(data).hexdigest()}"


def put(
    database: Database, data: bytes, *, digest: str | None = None, person_id: int | None = None
) -> Stored | Refusal:
    with Incoming(bytes_max=100 << 20, digest=digest) as incoming:
        for start in range(0, len(data), 300_000):
            assert incoming.write(data[start : start + 300_000]) is None
        return incoming.store(database, person_id=person_id)


@pytest.mark.parametrize("length", [0, 1, PART_BYTES - 1, PART_BYTES, PART_BYTES + 1, 11 * PART_BYTES + 5])
def test_what_comes_in_goes_out_in_parts_of_a_mebibyte(database: Database, length: int) -> None:
    data = bytes(number % 251 for number in range(1000)) * (length // 1000 + 1)
    data = data[:length]
    assert put(database, data, digest=digest_of(data)) == Stored(digest=digest_of(data), bytes=length)
    parts = list(content.read(database, digest_of(data)))
    assert b"".join(parts) == data
    assert all(len(part) == PART_BYTES for part in parts[:-1])


def test_a_wrong_digest_is_refused_and_leaves_nothing(database: Database) -> None:
    answer = put(database, b"data", digest=digest_of(b"other"))
    assert isinstance(answer, Refusal)
    assert answer.code is ReasonCode.CONTENT_MISMATCH
    with database.read() as connection:
        assert content.size(connection, digest_of(b"other")) is None
        assert connection.execute(select(func.count()).select_from(content_parts)).scalar_one() == 0


def test_more_than_allowed_is_refused_with_the_numbers(database: Database) -> None:
    with Incoming(bytes_max=10) as incoming:
        assert incoming.write(b"12345") is None
        refusal = incoming.write(b"67890!")
        assert refusal is not None
        assert refusal.reasons[0].numbers == {"bytes": 11, "bytes_max": 10}
        stored = incoming.store(database)
    assert isinstance(stored, Refusal)


def test_a_content_is_usable_only_by_whom_it_was_granted_to(database: Database) -> None:
    owner, other = add_person(database, "owner"), add_person(database, "other")
    put(database, b"data", person_id=owner.id)
    with database.read() as connection:
        assert content.granted(connection, digest_of(b"data"), owner.id)
        assert not content.granted(connection, digest_of(b"data"), other.id)
    put(database, b"data", person_id=other.id)
    with database.read() as connection:
        assert content.granted(connection, digest_of(b"data"), other.id)
        assert not content.granted(connection, digest_of(b"never uploaded"), owner.id)


def test_an_upload_that_was_cut_off_is_invisible_and_completed_by_the_next(database: Database) -> None:
    data = b"x" * (3 * PART_BYTES)
    put(database, data)
    # As a crash leaves it: some parts, and no row in contents.
    with database.write() as transaction:
        transaction.connection.execute(delete(contents))
        transaction.connection.execute(delete(content_parts).where(content_parts.c.part == 1))
    with database.read() as connection:
        assert content.size(connection, digest_of(data)) is None
    assert list(content.read(database, digest_of(data))) == []
    put(database, data)
    assert b"".join(content.read(database, digest_of(data))) == data


def test_two_uploads_of_one_content_at_once_meet_without_harm(database: Database) -> None:
    data = b"y" * (10 * PART_BYTES)
    together = threading.Barrier(2)
    answers: list[Stored | Refusal] = []

    def upload() -> None:
        together.wait()
        answers.append(put(database, data))

    threads = [threading.Thread(target=upload) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [Stored(digest=digest_of(data), bytes=len(data))] * 2
    assert b"".join(content.read(database, digest_of(data))) == data
