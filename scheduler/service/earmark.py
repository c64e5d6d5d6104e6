"""Nodes held for a queued job, as its row keeps them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from scheduler.cycle.facts import Earmarked, WaitingJob
from scheduler.cycle.plan import Earmark, Start
from scheduler.model.ids import NodeId, SiteId


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """What ``jobs.earmark`` says.

    ``gang`` as in ``runs.gang``: (node id, node name, first rank, workers). By ``until_ms`` the ``runs`` that have to
    leave should be gone.
    """

    site: int
    gpu_class: str
    gang: tuple[tuple[int, str, int, int], ...]
    until_ms: int
    runs: tuple[int, ...]

    @staticmethod
    def of(earmark: Earmark, until_ms: int, runs: Sequence[int]) -> Held:
        """As it is decided."""
        return Held(
            site=earmark.site, gpu_class=earmark.gpu_class, gang=earmark.gang, until_ms=until_ms, runs=tuple(runs)
        )

    @staticmethod
    def read(value: Mapping[str, Any]) -> Held:
        """What ``as_json`` wrote."""
        gang = tuple((node, name, first, workers) for node, name, first, workers in value["gang"])
        return Held(
            site=value["site"],
            gpu_class=value["gpu_class"],
            gang=gang,
            until_ms=value["until_ms"],
            runs=tuple(value["runs"]),
        )

    def as_json(self) -> dict[str, Any]:
        """Plain values."""
        return {
            "site": self.site,
            "gpu_class": self.gpu_class,
            "gang": [list(part) for part in self.gang],
            "until_ms": self.until_ms,
            "runs": list(self.runs),
        }

    def earmarked(self, job: WaitingJob) -> Earmarked:
        """As rounds see it."""
        gang = tuple((NodeId(node), workers) for node, _, _, workers in self.gang)
        return Earmarked(job=job, site=SiteId(self.site), gpu_class=self.gpu_class, gang=gang)

    def is_redeemed_by(self, start: Start) -> bool:
        """Whether a start puts as many workers on the very nodes that are held, in the same order."""
        mine = [(node, workers) for node, _, _, workers in self.gang]
        theirs = [(node, workers) for node, _, _, workers in start.gang]
        return (self.site, self.gpu_class, mine) == (start.site, start.gpu_class, theirs)
