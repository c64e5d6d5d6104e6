"""What groups used before: counted with the ledger's entries as runs end, by a rule that administrators set."""

from __future__ import annotations

from quota.decay import Decay, DecayedUse
from quota.ledger import RunInterval
from scheduler.model.reason import ReasonCode, Refusal, refuse
from scheduler.service.access import require_administrator
from scheduler.service.caller import Caller
from scheduler.service.runtime import Runtime
from scheduler.store import groups, past_uses
from scheduler.store.past_uses import DecayRule, UseKey
from scheduler.store.transaction import WriteTransaction


class UseCharges:
    """What the ends of runs of one transaction add; collected, and written in a few statements.

    A group is charged here what the ledger charges it: not for work that was destroyed for others.
    """

    def __init__(self, transaction: WriteTransaction) -> None:
        self._transaction = transaction
        self._spells: list[tuple[UseKey, int, int, int]] = []

    def note(self, interval: RunInterval | None, *, back: bool = False) -> None:
        """Count what was charged for a run, or take it ``back``; None: nothing."""
        if interval is None or (interval.lost_from_ms is not None and interval.kept_until_ms <= interval.start_ms):
            return
        gpus = -interval.gpus if back else interval.gpus
        key = interval.group_id, interval.gpu_class
        self._spells.append((key, gpus, interval.start_ms, interval.kept_until_ms))

    def write(self) -> None:
        """Write everything collected."""
        if not self._spells:
            return
        transaction = self._transaction
        _ = transaction.change
        decay = past_uses.rule(transaction.connection).decay
        uses = past_uses.of(transaction.connection, (key for key, _, _, _ in self._spells))
        for key, gpus, start_ms, end_ms in self._spells:
            use = uses.get(key, DecayedUse(0, transaction.now_ms))
            use = decay.after(use, 0, max(use.at_ms, transaction.now_ms))
            uses[key] = decay.with_spell(use, gpus, start_ms, end_ms)
        past_uses.put(transaction, uses)


def show_decay(runtime: Runtime) -> DecayRule:
    """The rule that holds; for everybody."""
    with runtime.database.read() as connection:
        return past_uses.rule(connection)


def set_decay(
    transaction: WriteTransaction, runtime: Runtime, caller: Caller, decay: Decay, *, etag: str, why: str
) -> DecayRule | Refusal:
    """Have past use decay by another rule. Administrators; ``etag`` is that of the rule that was read. It ends no run."""
    refusal = require_administrator(caller)
    if refusal is not None:
        return refusal
    _ = transaction.change
    before = past_uses.rule(transaction.connection)
    if etag != str(before.change):
        return refuse(ReasonCode.ETAG_MISMATCH, field="If-Match", current=str(before.change))
    if before.decay == decay:
        return before
    root = groups.by_path(transaction.connection, groups.ROOT_PATH)
    assert root is not None
    data = {"before": _numbers(before.decay), "after": _numbers(decay)}
    transaction.event("quota.decay", actor=caller.person, why=why, group_id=root.id, data=data)
    transaction.on_commit(runtime.world.forget)
    transaction.after_commit("scheduler")
    return past_uses.set_rule(transaction, decay)


def _numbers(decay: Decay) -> dict[str, int]:
    return {"half_life_seconds": decay.half_life_ms // 1000, "entry_seconds": decay.entry_ms // 1000}
