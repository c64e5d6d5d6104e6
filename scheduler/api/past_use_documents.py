"""The rule by which past use decays, as documents."""

from __future__ import annotations

from pydantic import BaseModel

from quota.decay import Decay
from scheduler.api.schemas import Input, Why
from scheduler.model.decay_seconds import EntrySeconds, HalfLifeSeconds
from scheduler.store.past_uses import DecayRule


class DecayIn(Input):
    """Whole seconds, or durations like `7d` and `10m`."""

    half_life_seconds: HalfLifeSeconds
    entry_seconds: EntrySeconds
    why: Why = ""

    def decay(self) -> Decay:
        """The rule."""
        return Decay(half_life_ms=self.half_life_seconds * 1000, entry_ms=self.entry_seconds * 1000)


class DecayOut(BaseModel):
    """After ``half_life_seconds`` use counts half; a start counts at once as much as its GPUs do in ``entry_seconds``."""

    half_life_seconds: int
    entry_seconds: int
    etag: str


def decay_document(rule: DecayRule) -> DecayOut:
    """The rule that holds."""
    return DecayOut(
        half_life_seconds=rule.decay.half_life_ms // 1000,
        entry_seconds=rule.decay.entry_ms // 1000,
        etag=str(rule.change),
    )
