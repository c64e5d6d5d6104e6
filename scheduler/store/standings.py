"""Groups' standing as rows: one a group and GPU class that ever lent or held more than its share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from sqlalchemy import Connection, select, tuple_

from quota.decay import FRACTION_BITS, Decay, DecayedUse
from quota.standing import Standing
from scheduler.store.dialect import upsert
from scheduler.store.rows import chunks
from scheduler.store.standing_tables import standings
from scheduler.store.transaction import WriteTransaction

StandingKey = tuple[int, str]  #: group id, GPU class

_KEYS_A_STATEMENT = 200
#: What a column of 64 bits holds; the rest of more than that is forgotten.
_GPU_MICROSECONDS_MAX = 2**63 - 1
_UPDATED = (
    "lent_gpu_microseconds", "surged_gpu_microseconds", "lends_milligpus", "surges_milligpus", "at_ms", "change",
)  # fmt: skip


def of(connection: Connection, keys: Iterable[StandingKey]) -> dict[StandingKey, Standing]:
    """Return what is known of these groups and classes."""
    found: dict[StandingKey, Standing] = {}
    for part in chunks(sorted(set(keys)), _KEYS_A_STATEMENT):
        wanted = tuple_(standings.c.group_id, standings.c.gpu_class).in_(part)
        found |= {key_of(row): standing_of(row) for row in connection.execute(select(standings).where(wanted))}
    return found


def every(connection: Connection) -> dict[StandingKey, Standing]:
    """Return all that is known."""
    return {key_of(row): standing_of(row) for row in connection.execute(select(standings))}


def put(transaction: WriteTransaction, found: Mapping[StandingKey, Standing]) -> None:
    """Write what these groups and classes have; what is less than a GPU-microsecond is left out."""
    rows = [
        {
            "group_id": group,
            "gpu_class": gpu_class,
            "lent_gpu_microseconds": min(standing.lent.amount >> FRACTION_BITS, _GPU_MICROSECONDS_MAX),
            "surged_gpu_microseconds": min(standing.surged.amount >> FRACTION_BITS, _GPU_MICROSECONDS_MAX),
            "lends_milligpus": standing.lends,
            "surges_milligpus": standing.surges,
            "at_ms": standing.at_ms,
            "change": transaction.change,
        }
        for (group, gpu_class), standing in found.items()
    ]
    upsert(transaction.connection, standings, rows, keys=("group_id", "gpu_class"), update=_UPDATED)


def count_anew(transaction: WriteTransaction, before: Decay, after: Decay) -> None:
    """Have another rule count what there is: everybody keeps the average number of GPUs."""
    found = {
        key: standing.at(before, max(standing.at_ms, transaction.now_ms)).counted_anew(before, after)
        for key, standing in every(transaction.connection).items()
    }
    put(transaction, found)


def key_of(row: Any) -> StandingKey:
    """Whose standing a row holds."""
    return row.group_id, row.gpu_class


def standing_of(row: Any) -> Standing:
    """What a row holds."""
    return Standing(
        DecayedUse(row.lent_gpu_microseconds << FRACTION_BITS, row.at_ms),
        DecayedUse(row.surged_gpu_microseconds << FRACTION_BITS, row.at_ms),
        row.lends_milligpus,
        row.surges_milligpus,
    )
