"""Small federations for property tests of the round: facts that Hypothesis draws, and what is made of them."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import strategies as st

from quota.decay import FRACTION_BITS, DecayedUse
from quota.standing import PARTS, Standing
from quota.tree import Quota
from scheduler.cycle.facts import DEFAULT_PREEMPTION, GroupFacts, LiveRun, PreemptionRules, WaitingJob
from scheduler.cycle.federation import Federation
from scheduler.model.ids import GroupId, JobId, NodeId, RunId, ShapeId, SiteId
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Csap, Node, SecurityGrade, Site, SiteState
from scheduler.model.site_refusal import SiteRefusal

CLASSES = ("a100", "h100")
#: id, parent
TREE = ((1, None), (2, 1), (3, 1), (4, 2), (5, 2), (6, 3))


@dataclass(frozen=True)
class Facts:
    """Everything a federation is made of."""

    quotas: dict[tuple[GroupId, str], Quota]
    sites: tuple[Site, ...]
    nodes: tuple[Node, ...]
    shapes: dict[ShapeId, Shape]
    jobs: tuple[WaitingJob, ...]
    runs: tuple[LiveRun, ...] = ()
    past: dict[tuple[GroupId, str], int] = field(default_factory=dict)  #: decayed use of ended runs, in GPU-hours
    standing: dict[tuple[GroupId, str], int] = field(default_factory=dict)  #: lent less surged, in GPU-hours


def group_facts() -> list[GroupFacts]:
    """The tree's groups; group 5 is of the public sector, group 6 of another trust domain."""
    return [
        GroupFacts(
            id=GroupId(group),
            path=f"group-{group}",
            parent=None if parent is None else GroupId(parent),
            trust_domain="other" if group == 6 else "one",
            public_sector=group == 5,
        )
        for group, parent in TREE
    ]


_amounts = st.integers(0, 12)


@st.composite
def _quotas(draw: st.DrawFn) -> Quota:
    """A quota whose limit, where it has one, is no lower than its guarantee: others are refused when they are set."""
    guaranteed = draw(_amounts)
    return Quota(
        guaranteed=guaranteed,
        limit=draw(st.none() | st.integers(guaranteed, 24)),
        borrowing_limit=draw(st.none() | _amounts),
        lending_limit=draw(st.none() | _amounts),
        weight=draw(st.integers(1, 5)),
    )


#: Few amounts, so that some groups have used the same.
_PAST = st.dictionaries(
    st.tuples(st.sampled_from([GroupId(group) for group, _ in TREE]), st.sampled_from(CLASSES)), st.integers(0, 3)
)
_STANDING = st.dictionaries(
    st.tuples(st.sampled_from([GroupId(group) for group, _ in TREE]), st.sampled_from(("h100", *CLASSES))),
    st.integers(-2, 2),
)

_grades = st.builds(
    SecurityGrade,
    csap=st.sampled_from(Csap),
    isolates_users=st.booleans(),
    trust_domain=st.sampled_from((None, "one", "other")),
)


@st.composite
def _sites(draw: st.DrawFn) -> tuple[Site, ...]:
    return tuple(
        Site(
            id=SiteId(number),
            name=f"site-{number}",
            state=draw(st.sampled_from((SiteState.ACTIVE, SiteState.ACTIVE, SiteState.CORDONED))),
            security=draw(_grades),
            reachable=draw(st.sampled_from((True, True, True, False))),
        )
        for number in range(1, 3)
    )


@st.composite
def _nodes(draw: st.DrawFn) -> tuple[Node, ...]:
    return tuple(
        Node(
            id=NodeId(number),
            site_id=SiteId(draw(st.integers(1, 2))),
            name=f"node-{number}",
            pool="pool",
            gpu_class=draw(st.sampled_from(CLASSES)),
            gpus=draw(st.sampled_from((0, 2, 4, 8))),
            cpus=draw(st.sampled_from((4, 16))),
            memory_mib=64,
            domain=(draw(st.sampled_from("ab")), draw(st.sampled_from("cd")), draw(st.sampled_from("ef"))),
            healthy=draw(st.sampled_from((True, True, True, False))),
        )
        for number in range(1, draw(st.integers(1, 8)))
    )


_shapes = st.builds(
    Shape,
    workers=st.integers(1, 4),
    gpus_per_worker=st.sampled_from((1, 2, 4)),
    cpus_per_worker=st.sampled_from((1, 4)),
    memory_mib_per_worker=st.sampled_from((1, 16)),
    gpu_classes=st.sampled_from(((), ("h100",), ("h100", "a100"), ("a100",))),
    topology=st.sampled_from(list(Topology)),
    data_class=st.sampled_from((DataClass.OPEN, DataClass.OPEN, DataClass.SENSITIVE)),
    preemptible=st.sampled_from((True, True, False)),
    required=st.sampled_from((Topology.ANY, Topology.ANY, Topology.ANY, *Topology)),
)


#: Some jobs are kept off one site, a few off both, until one moment or another.
_REFUSALS = st.sampled_from(((), (), (), (1,), (2,), (1, 2))).flatmap(
    lambda sites: st.tuples(*(_refusals_of(SiteId(site)) for site in sites))
)


def _refusals_of(site: SiteId) -> st.SearchStrategy[SiteRefusal]:
    return st.builds(
        SiteRefusal, site=st.just(site), times=st.integers(1, 3), until_ms=st.sampled_from((60_000, 120_000))
    )


@st.composite
def facts(draw: st.DrawFn) -> Facts:
    """Facts of a federation of two sites, six groups and a few waiting jobs."""
    quotas = {
        (GroupId(group), name): draw(_quotas())
        for group, parent in TREE
        if parent is not None
        for name in CLASSES
        if draw(st.booleans())
    }
    shapes = {ShapeId(number): draw(_shapes) for number in range(1, 5)}
    jobs = tuple(
        WaitingJob(
            id=JobId(number),
            group=GroupId(draw(st.sampled_from((4, 5, 6, 2)))),
            shape=ShapeId(draw(st.integers(1, 4))),
            priority=draw(st.sampled_from((0, 0, 100))),
            submitted_ms=draw(st.integers(0, 3)),
            handicap_ms=draw(st.sampled_from((0, 0, 1, 2))),
            bound_site=draw(st.sampled_from((None, None, None, SiteId(1)))),
            refusals=draw(_REFUSALS),
        )
        for number in range(1, draw(st.integers(1, 14)))
    )
    return Facts(
        quotas=quotas,
        sites=draw(_sites()),
        nodes=draw(_nodes()),
        shapes=shapes,
        jobs=jobs,
        past=draw(_PAST),
        standing=draw(_STANDING),
    )


#: More GPUs than a node of ``contended`` has.
TOO_LARGE = 16
#: The groups of ``contended`` that run work.
WORKING = (4, 5, 6)


@st.composite
def contended(
    draw: st.DrawFn, *, gpus_a_job: tuple[int, ...] = (1, 1, 2, 3), runs_max: int = 4, blocked: bool = False
) -> Facts:
    """Three groups that ask for more of one node than it has: every start is somebody else's wait.

    One open site that may serve everybody, one class of 2 to 12 GPUs on one node, so that nothing but turns and quotas
    decides. Job ``n`` has shape ``gpus``; guarantees lie inside each other.
    ``blocked``: one of them asks for gangs that fit on no node, so that its share lies idle and the others surge;
    nothing limits them.
    """
    gpus = draw(st.integers(2, 12))
    shapes = {ShapeId(each): plain_shape(each) for each in sorted(set(gpus_a_job))}
    free, runs = gpus, []
    for number in range(1, draw(st.integers(0, runs_max)) + 1):
        held = draw(st.sampled_from(gpus_a_job))
        group = GroupId(draw(st.sampled_from(WORKING)))
        if held <= free:
            runs.append(
                run_of(number, JobId(900 + number), group, shapes[ShapeId(held)], SiteId(1), "h100", ((NodeId(1), 1),))
            )
            free -= held
    stuck = GroupId(draw(st.sampled_from(WORKING))) if blocked else None
    if blocked:
        shapes[ShapeId(TOO_LARGE)] = plain_shape(TOO_LARGE)
    jobs = []
    for number in range(1, draw(st.integers(gpus + 1, 2 * gpus + 2))):
        group, asked = GroupId(draw(st.sampled_from(WORKING))), draw(st.sampled_from(gpus_a_job))
        jobs.append(
            WaitingJob(
                id=JobId(number),
                group=group,
                shape=ShapeId(TOO_LARGE if group == stuck else asked),
                priority=draw(st.sampled_from((0, 0, 100))),
                submitted_ms=draw(st.integers(0, 3)),
                handicap_ms=draw(st.sampled_from((0, 0, 1, 2))),
            )
        )
    return Facts(
        draw(_nested_quotas(limits=not blocked)),
        (OPEN_SITE,),
        (node_of(1, gpus),),
        shapes,
        tuple(jobs),
        tuple(runs),
        draw(_PAST),
        draw(_STANDING),
    )


@st.composite
def _nested_quotas(draw: st.DrawFn, *, limits: bool = True) -> dict[tuple[GroupId, str], Quota]:
    """Quotas as they may be set: the children's guarantees together within their parent's, limits above guarantees."""
    quotas: dict[tuple[GroupId, str], Quota] = {}
    promised = dict.fromkeys((group for group, _ in TREE), 0)
    for group, parent in reversed(TREE):
        if parent is not None:
            guaranteed = promised[group] + draw(st.sampled_from((0, 0, 1, 2, 4) if limits else (0, 0, 0, 1)))
            promised[parent] += guaranteed
            quotas[GroupId(group), "h100"] = Quota(
                guaranteed=guaranteed,
                limit=draw(st.none() | st.integers(guaranteed, guaranteed + 6)) if limits else None,
                borrowing_limit=draw(st.none() | st.integers(0, 6)) if limits else None,
                lending_limit=draw(st.none() | st.integers(0, 4)),
                weight=draw(st.integers(1, 5)),
            )
    return quotas


#: Active, heard, and of a grade that may serve open data of everybody.
OPEN_SITE = Site(
    id=SiteId(1),
    name="site-1",
    state=SiteState.ACTIVE,
    security=SecurityGrade(csap=Csap.HIGH, isolates_users=True),
    reachable=True,
)


def node_of(number: int, gpus: int, *, site: int = 1, cpus: int = 64, memory_mib: int = 64) -> Node:
    """A healthy node of h100."""
    return Node(
        id=NodeId(number),
        site_id=SiteId(site),
        name=f"node-{number}",
        pool="pool",
        gpu_class="h100",
        gpus=gpus,
        cpus=cpus,
        memory_mib=memory_mib,
        domain=(),
        healthy=True,
    )


def plain_shape(gpus: int, *, workers: int = 1, preemptible: bool = True, workers_max: int | None = None) -> Shape:
    """A gang of h100 that needs little else: a CPU and a MiB a worker."""
    return Shape(
        workers=workers,
        gpus_per_worker=gpus,
        cpus_per_worker=1,
        memory_mib_per_worker=1,
        gpu_classes=("h100",),
        topology=Topology.ANY,
        data_class=DataClass.OPEN,
        preemptible=preemptible,
        workers_max=workers_max,
    )


def build(given: Facts, preemption: PreemptionRules = DEFAULT_PREEMPTION, *, backwards: bool = False) -> Federation:
    """The federation of some facts, told in one order or the other."""
    federation = Federation(preemption=preemption)
    step = -1 if backwards else 1
    federation.set_groups(group_facts()[::step], given.quotas)
    for site in given.sites[::step]:
        federation.put_site(site)
    for node in given.nodes[::step]:
        federation.put_node(node)
    for shape_id, shape in given.shapes.items():
        federation.put_shape(shape_id, shape)
    federation.put_waiting(given.jobs[::step])
    for run in given.runs[::step]:
        federation.put_run(run)
    for (group, gpu_class), gpu_hours in list(given.past.items())[::step]:
        federation.put_past_use(group, gpu_class, DecayedUse(gpu_hours * 3_600_000 << FRACTION_BITS, 0))
    for (group, gpu_class), gpu_hours in list(given.standing.items())[::step]:
        federation.put_standing(group, gpu_class, standing_of(gpu_hours))
    return federation


def standing_of(gpu_hours: int) -> Standing:
    """What somebody has who lent so much, or owes who surged."""
    lent, surged = (
        DecayedUse(max(0, each) * 3_600_000 * PARTS << FRACTION_BITS, 0) for each in (gpu_hours, -gpu_hours)
    )
    return Standing(lent, surged)


def run_of(
    number: int,
    job: JobId,
    group: GroupId,
    shape: Shape,
    site: SiteId,
    gpu_class: str,
    gang: tuple[tuple[NodeId, int], ...],
) -> LiveRun:
    """A live run of a shape."""
    return LiveRun(
        id=RunId(number),
        job=job,
        group=group,
        site=site,
        gpu_class=gpu_class,
        gpus_per_worker=shape.gpus_per_worker,
        cpus_per_worker=shape.cpus_per_worker,
        memory_mib_per_worker=shape.memory_mib_per_worker,
        gang=gang,
    )
