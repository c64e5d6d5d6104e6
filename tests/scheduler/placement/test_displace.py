"""Whom to end for a gang: no more than are needed, as cheap as can be for whole nodes, and nobody without consent."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import combinations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.shape import Topology
from scheduler.placement.displace import Displaced, Occupant
from scheduler.placement.displace_oracle import displace
from scheduler.placement.pool import IntArray
from scheduler.placement.request import Request


@dataclass
class Consenting:
    """Lets all but ``spared`` go; quotas want at least ``runs_min`` of them gone."""

    spared: frozenset[int] = frozenset()
    runs_min: int = 0
    ended: set[int] = field(default_factory=set)

    def may_end(self, occupant: Occupant) -> bool:
        return occupant.run not in self.spared

    def end(self, occupant: Occupant) -> None:
        self.ended.add(occupant.run)

    def keep(self, occupant: Occupant) -> None:
        self.ended.remove(occupant.run)

    def suffices(self) -> bool:
        return len(self.ended) >= self.runs_min


@dataclass(frozen=True)
class Case:
    """A pool with runs on it, and a gang that wants in."""

    free: IntArray
    request: Request
    occupants: tuple[Occupant, ...]
    spared: frozenset[int]
    runs_min: int


@st.composite
def cases(draw: st.DrawFn, *, whole_nodes: bool = False) -> Case:
    nodes, each = draw(st.integers(1, 5)), draw(st.sampled_from((2, 4)))
    left = [each] * nodes
    occupants = []
    for run in range(1, draw(st.integers(2, 7))):
        gpus = each if whole_nodes else draw(st.integers(1, each))
        where = draw(st.lists(st.integers(0, nodes - 1), unique=True, min_size=1, max_size=3))
        parts = tuple((node, 1) for node in sorted(where) if left[node] >= gpus)
        for node, _ in parts:
            left[node] -= gpus
        if parts:
            occupants.append(Occupant(run, draw(st.integers(0, 9)), (gpus, 1, 1), parts))
    occupants.sort(key=lambda one: (one.cost / (one.amounts[0] * len(one.parts)), one.run))
    asked = each if whole_nodes else draw(st.integers(1, each))
    return Case(
        free=np.array([left, [64] * nodes, [64] * nodes]),
        request=Request(draw(st.integers(1, 5)), asked, 1, 1, Topology.ANY),
        occupants=tuple(occupants),
        spared=frozenset() if whole_nodes else draw(st.frozensets(st.integers(1, 6), max_size=2)),
        runs_min=0 if whole_nodes else draw(st.integers(0, 2)),
    )


def fits(case: Case, ended: tuple[Occupant, ...]) -> bool:
    """Whether the gang fits and quotas consent when these are gone, worked out from nothing."""
    free = case.free[0].tolist()
    for each in ended:
        for node, workers in each.parts:
            free[node] += workers * each.amounts[0]
    room = sum(gpus // case.request.gpus for gpus in free)
    return room >= case.request.workers and len(ended) >= case.runs_min


def choices(case: Case) -> Iterator[tuple[Occupant, ...]]:
    """Every lawful set that makes room."""
    willing = [each for each in case.occupants if each.run not in case.spared]
    for count in range(len(willing) + 1):
        for chosen in combinations(willing, count):
            if fits(case, chosen):
                yield chosen


def displaced(case: Case) -> Displaced | None:
    consent = Consenting(case.spared, case.runs_min)
    before = case.free.copy()
    found = displace(case.free, case.request, case.occupants, consent)
    assert not consent.ended
    assert (case.free == before).all()
    return found


@given(cases())
def test_room_is_made_exactly_where_it_can_be_made(case: Case) -> None:
    assert (displaced(case) is None) == (next(choices(case), None) is None)


@given(cases())
def test_each_of_those_that_go_has_to_go_and_none_goes_without_consent(case: Case) -> None:
    found = displaced(case)
    if found is None:
        return
    assert fits(case, found.occupants)
    assert not {each.run for each in found.occupants} & case.spared
    assert found.cost == sum(each.cost for each in found.occupants)
    for spared in found.occupants:
        assert not fits(case, tuple(each for each in found.occupants if each is not spared))


@given(cases(whole_nodes=True))
def test_for_workers_that_take_whole_nodes_nothing_is_cheaper(case: Case) -> None:
    found = displaced(case)
    best = min(((sum(each.cost for each in chosen), len(chosen)) for chosen in choices(case)), default=None)
    assert best == (None if found is None else (found.cost, len(found.occupants)))
