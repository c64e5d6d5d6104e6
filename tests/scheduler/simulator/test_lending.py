"""Lenders in a simulation, checked from its decisions alone: rows of ``--decisions``, the policy, and the slow formula."""

from __future__ import annotations

import csv
import tempfile
from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import takewhile
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from simulations import cluster_of, row

from scheduler.cycle.capacity import Lending, effective_capacity
from scheduler.cycle.step_function import StepFunction
from scheduler.model.ids import NodeId, SiteId
from scheduler.model.offer import Offer
from scheduler.model.recall import Recall, Reservation
from scheduler.simulator.asks import offers_of
from scheduler.simulator.cluster import Cluster
from scheduler.simulator.decisions import write_decisions
from scheduler.simulator.policy import Baseline, Policy, parse_policy
from scheduler.simulator.simulation import Outcome, simulate
from scheduler.simulator.trace import TraceRow

LAST_SECONDS = 200
HORIZON_MS = 1000 * LAST_SECONDS + 1000
SITES = ("company", "company", "company", "company", "laboratory", "laboratory", "state")


@dataclass(frozen=True, kw_only=True)
class Segment:
    """One row of the decisions."""

    job: str
    site: str
    nodes: dict[int, int]
    start_s: float
    end_s: float
    cause: str


def decisions(outcome: Outcome) -> list[Segment]:
    """What anybody can read of a simulation."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "decisions.csv"
        write_decisions(outcome, path)
        with path.open(encoding="utf-8", newline="") as lines:
            return [
                Segment(
                    job=each["job_id"],
                    site=each["site"],
                    nodes={int(part.split(":")[0]): int(part.split(":")[1]) for part in each["nodes"].split("|")},
                    start_s=float(each["start_s"]),
                    end_s=float(each["end_s"]),
                    cause=each["cause"],
                )
                for each in csv.DictReader(lines)
            ]


@st.composite
def offer_policies(draw: st.DrawFn) -> dict[str, Any]:
    """An offer of one of the two lenders, on any terms."""
    site = draw(st.sampled_from(("company", "laboratory")))
    begin, length = draw(st.integers(0, 40)), draw(st.integers(1, 60))
    window: dict[str, Any] = draw(
        st.sampled_from(
            (
                {},
                {"from_seconds": begin, "to_seconds": begin + length},
                {"from_seconds": begin, "to_seconds": begin + length, "every_seconds": length + 20},
            )
        )
    )
    return {
        "site": site,
        "nodes": draw(st.integers(1, SITES.count(site))),
        "sectors": draw(st.sampled_from(((), (), ("research",), ("public", "startup")))),
        "notice_seconds": draw(st.sampled_from((0, 5, "none"))),
        "minimum_hold_seconds": draw(st.sampled_from((0, 0, 15))),
        "priority_floor": draw(st.sampled_from((None, None, "normal"))),
        **window,
    }


@st.composite
def recall_policies(draw: st.DrawFn, grace: int) -> dict[str, Any]:
    """A recall by a lender, known at least for the grace of runs before."""
    at = draw(st.integers(0, 60))
    by = at + grace + draw(st.integers(0, 20))
    until = draw(st.sampled_from((None, by + 10, by + 40)))
    site = draw(st.sampled_from(("company", "laboratory")))
    return {
        "site": site, "nodes": draw(st.integers(1, SITES.count(site))), "at_seconds": at, "by_seconds": by,
        "until_seconds": until,
    }  # fmt: skip


@st.composite
def maintenance_policies(draw: st.DrawFn, grace: int) -> dict[str, Any]:
    """Some nodes of any site, or all of them."""
    at = draw(st.sampled_from((0, 0, 20)))
    begin = at + grace + draw(st.integers(0, 40))
    site = draw(st.sampled_from(("company", "laboratory", "state")))
    return {
        "site": site, "nodes": draw(st.none() | st.integers(1, SITES.count(site))), "at_seconds": at,
        "from_seconds": begin, "to_seconds": draw(st.sampled_from((None, begin + 15))),
    }  # fmt: skip


@st.composite
def policies(draw: st.DrawFn) -> Policy:
    """Lenders who do all that they may."""
    grace = draw(st.sampled_from((0, 0, 3)))
    fails = draw(st.sampled_from((False, False, True)))
    return parse_policy(
        {
            "groups": [
                {"path": "research.one", "quota": {"x": {"guaranteed": 8}}},
                {"path": "public.two"},
                {"path": "three"},
            ],
            "offers": draw(st.lists(offer_policies(), max_size=4)),
            "recalls": draw(st.lists(recall_policies(grace), max_size=2)),
            "maintenance": draw(st.lists(maintenance_policies(grace), max_size=1)),
            "failures": [{"node": draw(st.integers(0, 6)), "at_seconds": 20, "until_seconds": 30}] if fails else [],
            "durations": draw(st.sampled_from(("known", "walltime", "predicted"))),
            "minimum_run_seconds": draw(st.sampled_from((0, 4))),
            "preemption_cost_seconds": 1,
            "drain": False,
            "grace_seconds": grace,
            "round_interval_seconds": draw(st.sampled_from((0, 0, 7))),
        }
    )


@st.composite
def traces(draw: st.DrawFn) -> list[TraceRow]:
    """Jobs that save their state and others, with walltimes and without, some of which may not be preempted."""
    found = []
    for number in range(draw(st.integers(1, 12))):
        duration = draw(st.integers(0, 40))
        walltime = draw(st.sampled_from((None, duration, duration + 5, 10)))
        found.append(
            row(
                f"job-{number}", draw(st.integers(0, 60)), duration, draw(st.sampled_from((1, 2, 4, 8))),
                group=draw(st.sampled_from(("one", "two", "three"))),
                walltime_ms=None if walltime is None else walltime * 1000 or 1,
                qos=draw(st.sampled_from(("", "", "high", "low"))),
                checkpoints=draw(st.booleans()), preemptible=draw(st.sampled_from((True, True, False))),
            )
        )  # fmt: skip
    return [*sorted(found, key=lambda each: each.submit_ms), row("last", LAST_SECONDS, 0)]


def site_cluster() -> Cluster:
    """Two lenders and the state's own site, nodes of four GPUs."""
    return cluster_of(*[4 for _ in SITES], sites=SITES)


class Oracle:
    """How many nodes each site lends, from the policy alone, by the formula of ``capacity``; nodes that fail count as well."""

    def __init__(self, policy: Policy, cluster: Cluster) -> None:
        self.cluster = cluster
        self.offers = list(offers_of(policy, cluster))
        self._lendings = [Lending.of(each, 0, HORIZON_MS) for each in self.offers]
        self._reservations: list[Reservation] = []
        self.recalls: list[Recall] = []
        asked = [(each.at_seconds, 0, each) for each in policy.recalls]
        for _, _, each in sorted(asked, key=lambda ask: ask[0]):
            site = cluster.site_ids[each.site]
            nodes = self._granted(site, each.nodes, each.at_seconds * 1000, each.by_seconds * 1000)
            if nodes:
                until_ms = None if each.until_seconds is None else each.until_seconds * 1000
                self.recalls.append(
                    Recall(
                        site=site, gpu_class="x", nodes=nodes, by_ms=each.by_seconds * 1000,
                        asked_ms=each.at_seconds * 1000, until_ms=until_ms,
                    )
                )  # fmt: skip
        for each in policy.maintenance:
            site = cluster.site_ids[each.site]
            self._reservations.append(
                Reservation(
                    site=site, from_ms=each.from_seconds * 1000,
                    to_ms=None if each.to_seconds is None else each.to_seconds * 1000, reason="maintenance",
                    gpu_class="x", nodes=each.nodes,
                )
            )  # fmt: skip

    def lent(self, site: SiteId, *, recalls: bool = True) -> StepFunction:
        """Nodes that a site lends over time."""
        here = [NodeId(index + 1) for index, node in enumerate(self.cluster.nodes) if node.site_id == site]
        known = self.recalls if recalls else ()
        return effective_capacity(
            site, "x", here, self._lendings, known, self._reservations, borrower=None, now_ms=0
        ).nodes

    def _granted(self, site: SiteId, asked: int, at_ms: int, by_ms: int) -> int:
        """What a recall gets: what is lent by then and may be recalled, with its notice kept."""
        here = [each for each in self.offers if each.site == site and _open_at(each, by_ms)]
        lent = self.lent(site).at(by_ms)
        if not any(each.site == site for each in self.offers):
            return min(asked, lent)
        before = sum(
            each.nodes
            for each in self.recalls
            if each.site == site and each.by_ms <= by_ms and (each.until_ms is None or by_ms < each.until_ms)
        )
        notices = sorted(
            each.notice_seconds for each in here if each.notice_seconds is not None for _ in range(each.nodes)
        )
        taken = notices[before : before + min(asked, lent)]
        return len(taken) if all(at_ms + each * 1000 <= by_ms for each in taken) else 0


def _open_at(offer: Offer, at_ms: int) -> bool:
    spell = next(offer.spells(at_ms), None)
    return spell is not None and spell[0] <= at_ms


def moments(segments: list[Segment]) -> Iterator[int]:
    """When anything starts or ends, and just before it."""
    for each in segments:
        for at_s in (each.start_s, each.end_s):
            yield round(at_s * 1000)
            yield round(at_s * 1000) - 1


@given(traces(), policies())
def test_no_gpu_is_in_two_runs_and_no_more_nodes_have_any_than_are_lent(drawn: list[TraceRow], policy: Policy) -> None:
    cluster = site_cluster()
    segments = decisions(simulate(drawn, cluster, policy))
    oracle = Oracle(policy, cluster)
    # Who holds what at a deadline, and which nodes were broken then, decide how many a recall gets.
    certain = (
        not policy.failures and not policy.maintenance and all(not each.minimum_hold_seconds for each in policy.offers)
    )
    lent = {name: oracle.lent(site, recalls=certain) for name, site in cluster.site_ids.items()}
    for at_ms in sorted(set(moments(segments))):
        held: defaultdict[str, dict[int, int]] = defaultdict(dict)
        for each in segments:
            if round(each.start_s * 1000) <= at_ms < round(each.end_s * 1000):
                for node, gpus in each.nodes.items():
                    held[each.site][node] = held[each.site].get(node, 0) + gpus
        for name, nodes in held.items():
            site = cluster.site_ids[name]
            assert all(gpus <= 4 and cluster.nodes[node].site_id == site for node, gpus in nodes.items())
            assert len(nodes) <= lent[name].at(at_ms)


def known_ends_ms(policy: Policy, oracle: Oracle, site: str) -> set[int]:
    """Every moment from the start on at which somebody is known to take nodes of a site."""
    ends = {
        end_ms
        for offer in oracle.offers
        if cluster_name(oracle, offer.site) == site
        for start_ms, end_ms in takewhile(lambda spell: spell[0] < HORIZON_MS, offer.spells(0))
        if end_ms is not None
    }
    return ends | {each.from_seconds * 1000 for each in policy.maintenance if each.site == site}


def cluster_name(oracle: Oracle, site: SiteId) -> str:
    """A site's name."""
    return next(name for name, known in oracle.cluster.site_ids.items() if known == site)


@given(traces(), policies())
def test_runs_end_recalled_when_nodes_are_taken_and_only_those_that_save_their_state_where_that_was_known(
    drawn: list[TraceRow], policy: Policy
) -> None:
    cluster = site_cluster()
    by_name = {each.job_id: each for each in drawn}
    oracle = Oracle(policy, cluster)
    for each in decisions(simulate(drawn, cluster, policy)):
        if each.cause != "recalled":
            continue
        job, start_ms, end_ms = by_name[each.job], round(each.start_s * 1000), round(each.end_s * 1000)
        recalls = [recall for recall in policy.recalls if recall.site == each.site]
        surprises = {
            recall.by_seconds * 1000 for recall in recalls if start_ms <= recall.at_seconds * 1000 <= end_ms
        } | {
            held.from_seconds * 1000
            for held in policy.maintenance
            if held.site == each.site and start_ms <= held.at_seconds * 1000 <= end_ms
        }
        known = known_ends_ms(policy, oracle, each.site) | {recall.by_seconds * 1000 for recall in recalls}
        if policy.failures:
            continue  # fewer nodes than are offered: what is left is given back at any time
        assert end_ms in known | surprises
        if not surprises:  # a surprise leaves fewer nodes to those that an offer's end gives back later
            assert job.checkpoints and job.preemptible
            assert end_ms - start_ms >= policy.grace_ms + policy.minimum_run_seconds * 1000


@given(traces(), policies(), st.sampled_from(Baseline))
def test_capacity_is_what_the_formula_says_whoever_schedules(
    drawn: list[TraceRow], policy: Policy, baseline: Baseline
) -> None:
    cluster = site_cluster()
    outcome = simulate(drawn, cluster, policy.model_copy(update={"failures": (), "baseline": baseline}))
    oracle = Oracle(policy, cluster)
    asked, granted = outcome.history.recalled_nodes  # where others were recalled already, fewer are left to name
    certain = asked == granted and not policy.maintenance
    certain &= all(not each.minimum_hold_seconds for each in policy.offers)
    # The formula takes what is recalled by one to be another's no more.
    recalled = Counter(each.site for each in policy.recalls for _ in range(each.nodes))
    certain &= all(nodes <= SITES.count(site) for site, nodes in recalled.items())
    lent = [oracle.lent(site, recalls=certain) for site in cluster.site_ids.values()]
    times, devices = zip(*outcome.history.capacity, strict=True)
    for at_ms in {*times, *(int(each) for step in lent for each in step.times_ms)}:
        if at_ms <= 1000 * LAST_SECONDS:
            seen, formula = devices[bisect_right(times, at_ms) - 1], 4 * sum(step.at(at_ms) for step in lent)
            assert seen == formula if certain else seen <= formula


def test_a_run_that_cannot_save_its_state_keeps_the_node_that_lasts_when_one_that_can_starts_beside_it() -> None:
    jobs = [
        row("short", 0, 5, 4, walltime_ms=5000),
        row("stays", 1, 100, 4, checkpoints=False),
        row("saves", 6, 100, 4),
    ]
    offers = [
        {"site": "company", "nodes": 1, "to_seconds": 60, "notice_seconds": "none"},
        {"site": "company", "nodes": 1, "notice_seconds": "none"},
    ]
    policy = parse_policy(
        {"offers": offers, "durations": "walltime", "minimum_run_seconds": 0, "preemption_cost_seconds": 0}
    )
    segments = decisions(simulate(jobs, cluster_of(4, 4, sites=("company", "company")), policy))
    assert [(each.job, each.start_s, each.end_s, each.cause) for each in segments][1:3] == [
        ("stays", 1, 101, "finished"),
        ("saves", 6, 60, "recalled"),
    ]


def test_two_recalls_of_a_site_name_two_nodes_also_where_the_one_asked_for_first_comes_later() -> None:
    recalls = [{"site": "company", "nodes": 1, "at_seconds": 0, "by_seconds": by} for by in (5, 1)]
    policy = parse_policy({"recalls": recalls, "durations": "walltime", "preemption_cost_seconds": 0})
    jobs = [row("job", 10, 5, 4), row("other", 10, 5, 4)]
    outcome = simulate(jobs, cluster_of(4, 4, 4, sites=("company",) * 3), policy)
    assert (outcome.history.recalled_nodes, outcome.history.capacity[-1][1]) == ((2, 2), 4)
