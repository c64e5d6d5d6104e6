"""What groups used before, as rows: one a group and GPU class; and the rule by which it decays."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Connection, select, tuple_

from quota.decay import DEFAULT_DECAY, FRACTION_BITS, Decay, DecayedUse
from scheduler.store import standings
from scheduler.store.dialect import upsert
from scheduler.store.past_use_tables import decay_rules, past_uses
from scheduler.store.rows import chunks
from scheduler.store.transaction import WriteTransaction

UseKey = tuple[int, str]  #: group id, GPU class

_RULE = "past_use"
_KEYS_A_STATEMENT = 200
#: What a column of 64 bits holds; the rest of more than that is forgotten.
_GPU_MILLISECONDS_MAX = 2**63 - 1


@dataclass(frozen=True, slots=True)
class DecayRule:
    """The rule that holds; ``change`` is its ETag, 0 where none was set."""

    decay: Decay
    change: int


def rule(connection: Connection) -> DecayRule:
    """Return the rule that holds."""
    row = connection.execute(select(decay_rules).where(decay_rules.c.name == _RULE)).first()
    if row is None:
        return DecayRule(DEFAULT_DECAY, 0)
    return DecayRule(Decay(half_life_ms=row.half_life_ms, entry_ms=row.entry_ms), row.change)


def set_rule(transaction: WriteTransaction, decay: Decay) -> DecayRule:
    """Have another rule hold, and count by it what there is, standing too: everybody keeps the average number of GPUs."""
    row = {
        "name": _RULE,
        "half_life_ms": decay.half_life_ms,
        "entry_ms": decay.entry_ms,
        "change": transaction.change,
    }
    before = rule(transaction.connection).decay
    upsert(transaction.connection, decay_rules, [row], keys=("name",), update=("half_life_ms", "entry_ms", "change"))
    uses = every(transaction.connection)
    put(transaction, {key: _counted_anew(use, before, decay, transaction.now_ms) for key, use in uses.items()})
    standings.count_anew(transaction, before, decay)
    return DecayRule(decay, transaction.change)


def _counted_anew(use: DecayedUse, before: Decay, after: Decay, now_ms: int) -> DecayedUse:
    return after.of_other(before.after(use, 0, max(use.at_ms, now_ms)), before)


def of(connection: Connection, keys: Iterable[UseKey]) -> dict[UseKey, DecayedUse]:
    """Return what is known of these groups and classes."""
    found: dict[UseKey, DecayedUse] = {}
    for part in chunks(sorted(set(keys)), _KEYS_A_STATEMENT):
        wanted = tuple_(past_uses.c.group_id, past_uses.c.gpu_class).in_(part)
        found |= {key_of(row): use_of(row) for row in connection.execute(select(past_uses).where(wanted))}
    return found


def every(connection: Connection) -> dict[UseKey, DecayedUse]:
    """Return all that is known."""
    return {key_of(row): use_of(row) for row in connection.execute(select(past_uses))}


def put(transaction: WriteTransaction, uses: Mapping[UseKey, DecayedUse]) -> None:
    """Write what these groups and classes come to; what is less than a GPU-millisecond is left out."""
    rows = [
        {
            "group_id": group,
            "gpu_class": gpu_class,
            "gpu_milliseconds": min(use.gpu_milliseconds, _GPU_MILLISECONDS_MAX),
            "at_ms": use.at_ms,
            "change": transaction.change,
        }
        for (group, gpu_class), use in uses.items()
    ]
    keys, update = ("group_id", "gpu_class"), ("gpu_milliseconds", "at_ms", "change")
    upsert(transaction.connection, past_uses, rows, keys=keys, update=update)


def key_of(row: Any) -> UseKey:
    """Whose use a row holds."""
    return row.group_id, row.gpu_class


def use_of(row: Any) -> DecayedUse:
    """What a row holds."""
    return DecayedUse(row.gpu_milliseconds << FRACTION_BITS, row.at_ms)
