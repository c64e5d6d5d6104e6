"""Federations in which gangs find no room though runs will leave, for property tests of reservations."""

from __future__ import annotations

from dataclasses import replace

from federations import OPEN_SITE, Facts, build, group_facts, node_of, plain_shape, run_of
from hypothesis import strategies as st
from lendings import HOUR_MS, MINIMUM_RUN_MS, NOW_MS, SECTORS, offers

from quota.tree import Quota
from scheduler.cycle.facts import Earmarked, LiveRun, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.model.ids import GroupId, JobId, ShapeId, SiteId
from scheduler.model.shape import Topology

#: (workers, GPUs a worker), by the shape's number: the first three on one node
SHAPES = {1: (1, 1), 2: (1, 2), 3: (1, 4), 4: (2, 2), 5: (3, 2), 6: (4, 2), 7: (3, 1), 8: (2, 3)}
REQUIRED = {7: Topology.LEAF, 4: Topology.HALL}
CHOICES = {3: ("h100", "a100"), 5: ("a100", "h100")}
WALLTIMES_MS = (HOUR_MS // 2, HOUR_MS, 2 * HOUR_MS, 3 * HOUR_MS, 6 * HOUR_MS, None)


@st.composite
def blocked_facts(draw: st.DrawFn, *, groups: tuple[int, ...] = (4, 5, 6), endless: bool = True) -> Facts:
    """Up to seven nodes at two sites, most of them in use by the last group, and gangs. ``endless``: some ends are unknown."""
    nodes = tuple(
        replace(
            node_of(number, draw(st.sampled_from((2, 4, 4, 4))), site=draw(st.sampled_from((1, 1, 1, 2)))),
            gpu_class=draw(st.sampled_from(("h100", "h100", "h100", "a100"))),
            domain=(draw(st.sampled_from("aab")), "spine", draw(st.sampled_from("cd"))),
        )
        for number in range(1, draw(st.integers(3, 7)) + 1)
    )
    shapes = {
        ShapeId(number): replace(
            plain_shape(gpus, workers=workers, preemptible=draw(st.sampled_from((True, True, True, False)))),
            gpu_classes=CHOICES.get(number, ("h100",)),
            required=REQUIRED.get(number, Topology.ANY),
        )
        for number, (workers, gpus) in SHAPES.items()
    }
    walltimes = WALLTIMES_MS if endless else WALLTIMES_MS[:-1]
    runs: list[LiveRun] = []
    for node in nodes:
        left = node.gpus
        while left and draw(st.sampled_from((True, True, True, False))):
            number = draw(st.sampled_from((1, 1, 2, 3)))
            gpus = SHAPES[number][1]
            if gpus > left:
                break
            left -= gpus
            run = run_of(
                len(runs) + 1, JobId(900 + len(runs)), GroupId(groups[-1]), shapes[ShapeId(number)],
                node.site_id, node.gpu_class, ((node.id, 1),),
            )  # fmt: skip
            ends_in_ms = draw(st.sampled_from(walltimes))
            end_ms = None if ends_in_ms is None else NOW_MS + ends_in_ms - draw(st.sampled_from((0, 1000, 2 * HOUR_MS)))
            runs.append(replace(run, started_ms=NOW_MS - 4 * HOUR_MS, preemptible=False, expected_end_ms=end_ms))
    jobs = tuple(
        WaitingJob(
            id=JobId(number),
            group=GroupId(draw(st.sampled_from(groups))),
            shape=ShapeId(draw(st.sampled_from((1, 2, 3, 4, 5, 5, 6, 7, 8)))),
            priority=draw(st.sampled_from((0, 0, 0, 100))),
            submitted_ms=draw(st.integers(0, 3)),
            walltime_ms=draw(st.sampled_from(walltimes)),
            save_ms=draw(st.sampled_from((None, None, 60_000))),
        )
        for number in range(1, draw(st.integers(4, 12)) + 1)
    )
    sites = (OPEN_SITE, replace(OPEN_SITE, id=SiteId(2), name="site-2"))
    quotas = {
        (GroupId(group), "h100"): Quota(
            guaranteed=draw(st.sampled_from((0, 0, 4))), limit=draw(st.sampled_from((None, None, None, None, 12)))
        )
        for group in groups
    }
    return Facts(quotas, sites, nodes, shapes, jobs, tuple(runs))


def _earmark(draw: st.DrawFn, facts: Facts, federation: Federation) -> None:
    """A run is told to leave its node to a waiting job."""
    pairs = [
        (run, job)
        for run in facts.runs
        for job in facts.jobs
        if (shape := facts.shapes[job.shape]).gpus == shape.gpus_per_worker <= run.gpus
        and run.gpu_class in shape.gpu_classes
    ]
    if pairs:
        run, job = draw(st.sampled_from(pairs))
        federation.put_run(replace(run, leaving=True, expected_end_ms=NOW_MS + 60_000))
        gang = ((run.gang[0][0], 1),)
        federation.put_earmark(Earmarked(job=job, site=run.site, gpu_class=run.gpu_class, gang=gang))


@st.composite
def blocked_federations(draw: st.DrawFn, *, lent: bool = True) -> Federation:
    """Of such facts; ``lent``: some of their sites lend by offer."""
    facts = draw(blocked_facts())
    federation = build(facts, PreemptionRules(minimum_run_ms=MINIMUM_RUN_MS))
    if draw(st.booleans()):
        _earmark(draw, facts, federation)
    if lent and draw(st.booleans()):
        groups = [replace(each, sector=SECTORS.get(each.id)) for each in group_facts()]
        federation.set_groups(groups, facts.quotas)
        federation.set_lending(draw(offers(classes=("h100",))), [], [])
    federation.lend(NOW_MS)
    return federation


def ended_by(federation: Federation, now_ms: int) -> None:
    """Runs that should be over by a moment are."""
    for run in list(federation.live_runs.values()):
        if run.expected_end_ms is not None and run.expected_end_ms <= now_ms:
            federation.drop_run(run.id)
    federation.lend(now_ms)
