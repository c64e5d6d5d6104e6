"""What is kept in step says what working everything out anew says."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from federations import OPEN_SITE, TREE, node_of, plain_shape, run_of
from hypothesis import given
from hypothesis import strategies as st
from lendings import HOUR_MS, NOW_MS, SECTORS, offers, recalls, reservations

from scheduler.cycle.facts import GroupFacts, LiveRun
from scheduler.cycle.federation import Federation
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, SiteId
from scheduler.model.site import Node

NODES = tuple(node_of(number, 8, site=1 + number % 2) for number in range(1, 9))
HERE = {node.id: (node.site_id, node.gpu_class) for node in NODES}
SITES = (OPEN_SITE, replace(OPEN_SITE, id=SiteId(2), name="site-2"))
GROUPS = [
    GroupFacts(
        id=GroupId(group), path=f"group-{group}", parent=None if parent is None else GroupId(parent),
        trust_domain="one", public_sector=False, sector=SECTORS.get(GroupId(group)),
    )
    for group, parent in TREE
]  # fmt: skip
_number = st.integers(1, 8)
STEPS = st.lists(
    st.one_of(
        st.tuples(st.just("node"), _number, st.booleans()),
        st.tuples(st.just("node goes"), _number, st.none()),
        st.tuples(st.just("run"), _number, st.sampled_from((None, NOW_MS + 2 * HOUR_MS))),
        st.tuples(st.just("run ends"), _number, st.none()),
        st.tuples(st.just("lending"), st.just(0), st.tuples(offers(classes=("h100",)), recalls(HERE), reservations(HERE))),
        st.tuples(st.just("time"), st.sampled_from((-1, 1, 2, 5)), st.none()),
        st.tuples(st.just("copy"), st.just(0), st.none()),
    ),
    min_size=3,
    max_size=20,
)  # fmt: skip


class Twin:
    """A federation that is told step by step, and what it would have to be told to begin anew."""

    def __init__(self) -> None:
        self.federation = Federation()
        self.nodes: dict[NodeId, Node] = {}
        self.runs: dict[RunId, LiveRun] = {}
        self.told: tuple[Any, ...] = ([], [], [])
        self.now_ms = NOW_MS
        self.begin(self.federation)

    def begin(self, federation: Federation) -> Federation:
        federation.set_groups(GROUPS, {})
        for site in SITES:
            federation.put_site(site)
        for node in self.nodes.values():
            federation.put_node(node)
        for run in self.runs.values():
            federation.put_run(run)
        federation.set_lending(*self.told)
        return federation

    def step(self, what: str, number: int, value: Any) -> None:
        federation = self.federation
        match what:
            case "node":
                node = replace(NODES[number - 1], healthy=bool(value))
                self.nodes[node.id] = node
                federation.put_node(node)
            case "node goes":
                self.nodes.pop(NodeId(number), None)
                federation.remove_node(NodeId(number))
            case "run":
                node = NODES[number - 1]
                run = run_of(
                    number,
                    JobId(number),
                    GroupId(4 + number % 3),
                    plain_shape(2),
                    node.site_id,
                    "h100",
                    ((node.id, 1),),
                )
                self.runs[run.id] = run = replace(run, expected_end_ms=value)
                federation.put_run(run)
            case "run ends":
                self.runs.pop(RunId(number), None)
                federation.drop_run(RunId(number))
            case "lending":
                self.told = value
                federation.set_lending(*self.told)
            case "time":
                self.now_ms += number * HOUR_MS
            case "copy":
                self.federation = federation.copy()


def said(federation: Federation, now_ms: int) -> dict[object, object]:
    """Terms and times of every node; numbers of terms are nobody's business."""
    federation.lend(now_ms)
    snapshot = federation.snapshot()
    found: dict[object, object] = {"at": snapshot.now_ms}
    for key, pool in snapshot.pools.items():
        terms, until = pool.pool.terms, pool.pool.until_ms
        lent = None
        if terms is not None and until is not None:
            lent = [(snapshot.terms[each], at) for each, at in zip(terms.tolist(), until.tolist(), strict=True)]
        found[key] = pool.node_ids, pool.gpus, pool.pool.gpus.tolist(), lent
    return found


@given(STEPS)
def test_following_step_by_step_lends_what_beginning_anew_lends(steps: list[tuple[str, int, object]]) -> None:
    twin = Twin()
    for step in steps:
        twin.step(*step)
        assert said(twin.federation, twin.now_ms) == said(twin.begin(Federation()), twin.now_ms)
