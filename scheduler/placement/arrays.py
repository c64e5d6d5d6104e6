"""What the compiled loop works on: columns of whole numbers (int64), one entry a node, group, class or start."""

from __future__ import annotations

from typing import Any, NamedTuple

NODE, LEAF, SPINE, HALL, SITE = range(5)  #: levels, the tightest first
DOMAIN_LEVELS = 3  #: leaf, spine, hall

FREE_GPU_COST = 250  #: of each GPU that is left free on a node where work begins, in thousandths of a GPU


class Nodes(NamedTuple):
    """Free GPUs, CPUs and memory (MiB) by node, and where nodes lie. Changed by ``take`` alone. All int64.

    ``first`` (pool + 1) is where a pool's nodes begin. ``count`` and ``hint`` are (pool, free GPUs). ``domain`` is
    (level, node): numbers that run over levels, pools, and a pool's domains by name; ``domains_of`` (level, pool + 1) is
    where a pool's begin, ``members`` holds each domain's nodes from ``member_first`` (domain + 1) on. ``share`` (2, node) is
    ``PoolLayout.share``. ``terms`` numbers the terms on which a node is lent, ``until`` (ms) is when it is taken back; in a
    ``plain`` pool everybody has all for ever. In a ``held`` pool some nodes are reserved from ``held_from`` (ms) on: whoever
    is still there then takes of ``spare`` (GPUs, CPUs, memory; node). Reservations write these three, and ``take_spare``.
    """

    first: Any
    gpus: Any
    cpus: Any
    memory: Any
    pool_free: Any
    count: Any
    hint: Any
    domain: Any
    domains_of: Any
    member_first: Any
    members: Any
    domain_free: Any
    terms: Any
    until: Any
    plain: Any
    share: Any
    held: Any
    held_from: Any
    spare: Any


class Need(NamedTuple):
    """What one gang needs of its nodes besides room; see ``cycle.stay``, which says the same for one node.

    ``lets``, ``floor``, ``hold`` and ``firm_terms`` are by number of the terms: whether they let its group and data in, the
    least priority, the hold (ms), and whether they suit ``firm`` work. ``end`` is when the gang is over, ``least`` for how long
    it has to be left where it can save its state, -1 where it cannot (ms). Without ``checks`` it takes any node.
    """

    checks: Any
    firm: Any
    priority: Any
    now: Any
    end: Any
    least: Any
    lets: Any
    floor: Any
    hold: Any
    firm_terms: Any


class Lending(NamedTuple):
    """The parts of ``Need`` that a round's gangs have in common; ``lets`` and ``firm_terms`` are (venue, terms)."""

    now: Any
    lets: Any
    floor: Any
    hold: Any
    firm_terms: Any


class Quotas(NamedTuple):
    """One GPU class of ``quota.admission.Usage`` with its fair shares, by position; ``share`` is each group's own.

    ``path_rank`` says whose turn it is where all else is equal, ``standing_rank`` whose it is among those that hold their
    share or more; of this equals have the same.
    """

    parent: Any
    bound: Any
    reserve: Any
    guaranteed: Any
    own: Any
    used: Any
    inside: Any
    share: Any
    path_rank: Any
    standing_rank: Any


class Later(NamedTuple):
    """What reservations leave to others, of one GPU class.

    By position: ``from_ms`` is when a group's reservation begins, ``room`` what the group may still start that would run on
    then, ``looked`` whether one was looked for. By row: ``last`` says that there is no other GPU class left to try, ``done``
    that it has started all it has or failed.
    """

    from_ms: Any
    room: Any
    looked: Any
    last: Any
    done: Any


class Classes(NamedTuple):
    """Classes of waiting jobs by row. ``next`` is the first job of each that has not started; it is moved on.

    Jobs stand in (minus priority, submitted, id), sorted inside a class from ``next`` to ``stop``. ``level`` is the preferred
    one, ``loosest`` the last that may be tried. ``firm`` work cannot be preempted, ``venue`` names the pools where it may
    start, ``shape`` equal requests, ``alike`` requests that are equal in how long they stay, too. ``end`` and ``least`` are as
    in ``Need``.
    """

    position: Any
    next: Any
    stop: Any
    shape: Any
    venue: Any
    workers: Any
    gpus: Any
    cpus: Any
    memory: Any
    level: Any
    loosest: Any
    firm: Any
    minus_priority: Any
    submitted: Any
    job: Any
    alike: Any
    end: Any
    least: Any


class Starts(NamedTuple):
    """What was handed out: by start its class's row, job, pool and first part of the gang; by part node and workers.

    ``size`` holds the number of starts and of parts.
    """

    row: Any
    job: Any
    pool: Any
    first_part: Any
    node: Any
    workers: Any
    size: Any
