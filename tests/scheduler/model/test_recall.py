"""Recalls and reservations: what counts as one, and what it covers."""

from __future__ import annotations

from typing import Any

import pytest

from scheduler.model.errors import InvariantBroken
from scheduler.model.ids import NodeId, SiteId
from scheduler.model.recall import Recall, Reservation


def recall(**change: Any) -> Recall:
    return Recall(**({"site": SiteId(1), "gpu_class": "h100", "nodes": 2, "by_ms": 20, "asked_ms": 10} | change))


def reservation(**change: Any) -> Reservation:
    return Reservation(**({"site": SiteId(1), "from_ms": 10, "to_ms": 20, "reason": "new cables"} | change))


@pytest.mark.parametrize("change", [{"nodes": 0}, {"by_ms": 9}, {"until_ms": 20}])
def test_what_is_no_recall_is_a_fault(change: dict[str, Any]) -> None:
    recall()
    recall(until_ms=21)
    with pytest.raises(InvariantBroken):
        recall(**change)


@pytest.mark.parametrize(
    "change",
    [
        {"to_ms": 10},
        {"nodes": 1},
        {"nodes": 0, "gpu_class": "h100"},
        {"nodes": 1, "gpu_class": "h100", "node_ids": frozenset({NodeId(3)})},
    ],
)
def test_what_is_no_reservation_is_a_fault(change: dict[str, Any]) -> None:
    reservation(to_ms=None)
    reservation(nodes=1, gpu_class="h100")
    with pytest.raises(InvariantBroken):
        reservation(**change)


def test_a_reservation_without_a_class_covers_every_class_of_its_site() -> None:
    assert reservation().covers(SiteId(1), "a100")
    assert reservation(gpu_class="a100").covers(SiteId(1), "a100")
    assert not reservation(gpu_class="h100").covers(SiteId(1), "a100")
    assert not reservation().covers(SiteId(2), "a100")
