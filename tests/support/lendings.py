"""Federations whose sites lend by offer, for property tests: offers, recalls and maintenance that Hypothesis draws."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from federations import OPEN_SITE, Facts, build, facts, group_facts, run_of
from hypothesis import strategies as st

from quota.tree import Quota
from scheduler.cycle.facts import LiveRun, PreemptionRules
from scheduler.cycle.federation import Federation
from scheduler.model.calendar import Calendar
from scheduler.model.ids import GroupId, JobId, NodeId, OfferId, RunId, SiteId
from scheduler.model.offer import Offer, Sector
from scheduler.model.recall import Recall, Reservation
from scheduler.model.shape import DataClass

HOUR_MS = 3_600_000
#: A Monday, noon in Seoul.
NOW_MS = int(datetime(2026, 11, 2, 3, tzinfo=UTC).timestamp()) * 1000
CALENDARS = (
    Calendar(time_zone="UTC"),
    Calendar.model_validate(
        {"time_zone": "Asia/Seoul", "windows": [{"days": "mon-fri", "from": "09:00", "to": "14:00"}]}
    ),
    Calendar.model_validate(
        {"time_zone": "Asia/Seoul", "windows": [{"days": "mon-fri", "from": "19:00", "to": "08:00"}]}
    ),
    Calendar.model_validate({"time_zone": "UTC", "valid_until": "2026-11-03"}),
)
WALLTIMES_MS = (None, HOUR_MS // 2, HOUR_MS, 3 * HOUR_MS, 48 * HOUR_MS)
SECTORS = {GroupId(4): Sector.RESEARCH, GroupId(5): Sector.PUBLIC, GroupId(6): Sector.STARTUP}
MINIMUM_RUN_MS = 600_000


def offer_of(number: int = 1, **terms: Any) -> Offer:
    """Four nodes of h100 at the first site, for ever, with an hour's notice."""
    given: dict[str, Any] = {
        "id": OfferId(number), "site": SiteId(1), "gpu_class": "h100", "nodes": 4, "calendar": CALENDARS[0],
        "notice_seconds": 3600,
    }  # fmt: skip
    return Offer(**(given | terms))


@st.composite
def offers(
    draw: st.DrawFn, *, classes: tuple[str, ...] = ("h100", "a100"), sites: tuple[int, ...] = (1, 2)
) -> list[Offer]:
    """Up to four offers with all their terms."""
    return [
        offer_of(
            number,
            site=SiteId(draw(st.sampled_from(sites))),
            gpu_class=draw(st.sampled_from(classes)),
            nodes=draw(st.integers(1, 4)),
            calendar=draw(st.sampled_from(CALENDARS)),
            sectors=draw(st.sampled_from(((), (), (Sector.RESEARCH,), (Sector.PUBLIC, Sector.STARTUP)))),
            data_classes=draw(st.sampled_from(((), (), (DataClass.OPEN,)))),
            notice_seconds=draw(st.sampled_from((None, 0, 3600))),
            minimum_hold_seconds=draw(st.sampled_from((0, 7200))),
            priority_floor=draw(st.sampled_from((None, None, 0, 100))),
            closes_ms=draw(st.sampled_from((None, None, NOW_MS, NOW_MS + HOUR_MS))),
        )
        for number in range(1, draw(st.integers(0, 4)) + 1)
    ]


def _moments(draw: st.DrawFn) -> tuple[int, int | None]:
    from_ms = NOW_MS + draw(st.integers(-2, 3)) * HOUR_MS
    return from_ms, draw(st.sampled_from((None, from_ms + HOUR_MS, from_ms + 4 * HOUR_MS)))


@st.composite
def recalls(draw: st.DrawFn, nodes: dict[NodeId, tuple[SiteId, str]]) -> list[Recall]:
    """Recalls of nodes that are there, none of two."""
    found, left = [], sorted(nodes)
    for _ in range(draw(st.integers(0, 2))):
        chosen = draw(st.sets(st.sampled_from(left), min_size=1, max_size=2)) if left else set()
        of_one = {node for node in chosen if nodes[node] == nodes[min(chosen)]}
        if of_one:
            left = [node for node in left if node not in of_one]
            by_ms, until_ms = _moments(draw)
            site, gpu_class = nodes[min(of_one)]
            found.append(
                Recall(
                    site=site, gpu_class=gpu_class, nodes=len(of_one), by_ms=by_ms, asked_ms=by_ms - HOUR_MS,
                    until_ms=until_ms, node_ids=frozenset(of_one),
                )
            )  # fmt: skip
    return found


@st.composite
def reservations(
    draw: st.DrawFn, nodes: dict[NodeId, tuple[SiteId, str]], groups: tuple[GroupId | None, ...] = (None,)
) -> list[Reservation]:
    """Maintenance of nodes that are there, or nodes kept for one of ``groups``."""
    found = []
    for _ in range(draw(st.integers(0, 1)) if nodes else 0):
        from_ms, to_ms = _moments(draw)
        node = draw(st.sampled_from(sorted(nodes)))
        found.append(
            Reservation(
                site=nodes[node][0], gpu_class=nodes[node][1], from_ms=from_ms, to_ms=to_ms, reason="cables",
                node_ids=frozenset({node}), group=draw(st.sampled_from(groups)),
            )
        )  # fmt: skip
    return found


@st.composite
def lending_federations(draw: st.DrawFn) -> Federation:
    """A federation whose jobs have walltimes and checkpoints, with a few runs, at sites that lend by offer or not."""
    drawn: Facts = draw(facts())
    if draw(st.booleans()):  # everything hangs on the terms: one open site of one class, and guarantees for all
        nodes = [replace(node, site_id=SiteId(1), gpu_class="h100", gpus=4, healthy=True) for node in drawn.nodes]
        shapes = {at: replace(shape, gpu_classes=("h100",)) for at, shape in drawn.shapes.items()}
        quotas = {(group, "h100"): Quota(guaranteed=32) for group in (GroupId(1), *SECTORS)}
        drawn = replace(drawn, sites=(OPEN_SITE,), nodes=tuple(nodes), shapes=shapes, quotas=quotas)
    jobs = tuple(
        replace(
            job,
            walltime_ms=draw(st.sampled_from(WALLTIMES_MS)),
            save_ms=draw(st.sampled_from((None, 60_000))),
            priority=draw(st.sampled_from((-100, 0, 100))),
            refusals=tuple(replace(each, until_ms=NOW_MS + each.until_ms) for each in job.refusals),
        )
        for job in drawn.jobs
    )
    federation = build(
        replace(drawn, jobs=jobs, runs=_runs(draw, drawn)), PreemptionRules(minimum_run_ms=MINIMUM_RUN_MS)
    )
    federation.set_groups([replace(each, sector=SECTORS.get(each.id)) for each in group_facts()], drawn.quotas)
    nodes = {node.id: (node.site_id, node.gpu_class) for node in drawn.nodes}
    alike = len(drawn.sites) == 1
    federation.set_lending(
        draw(offers(classes=("h100",), sites=(1,)) if alike else offers()),
        draw(recalls(nodes)),
        draw(reservations(nodes, (None, GroupId(2), GroupId(4)))),
    )
    federation.lend(NOW_MS)
    return federation


def _runs(draw: st.DrawFn, drawn: Facts) -> tuple[LiveRun, ...]:
    found = []
    for number, node in enumerate(drawn.nodes, start=1):
        if node.healthy and node.gpus and draw(st.booleans()):
            shape = replace(
                next(iter(drawn.shapes.values())), gpus_per_worker=1, cpus_per_worker=0, memory_mib_per_worker=0
            )
            run = run_of(
                number, JobId(900 + number), GroupId(draw(st.sampled_from((4, 5, 6)))), shape, node.site_id, node.gpu_class,
                ((node.id, draw(st.integers(1, node.gpus))),),
            )  # fmt: skip
            left_ms = draw(st.sampled_from((None, HOUR_MS // 2, 5 * HOUR_MS)))
            found.append(
                replace(
                    run, id=RunId(number), started_ms=NOW_MS - draw(st.sampled_from((0, HOUR_MS))), grace_ms=60_000,
                    expected_end_ms=None if left_ms is None else NOW_MS + left_ms,
                )
            )  # fmt: skip
    return tuple(found)
