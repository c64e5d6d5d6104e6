"""What the compiled loop works on: columns of whole numbers (int64), one entry a node, group, class or start."""

from __future__ import annotations

from typing import Any, NamedTuple

NODE, LEAF, SPINE, HALL, SITE = range(5)  #: levels, the tightest first
DOMAIN_LEVELS = 3  #: leaf, spine, hall


class Nodes(NamedTuple):
    """Free GPUs, CPUs and memory (MiB) by node, and where nodes lie. Changed by ``take`` alone. All int64.

    ``first`` (pool + 1) is where a pool's nodes begin. ``count`` and ``hint`` are (pool, free GPUs). ``domain`` is
    (level, node): numbers that run over levels, pools, and a pool's domains by name; ``domains_of`` (level, pool + 1) is
    where a pool's begin, ``members`` holds each domain's nodes from ``member_first`` (domain + 1) on.
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


class Quotas(NamedTuple):
    """One GPU class of ``quota.admission.Usage`` with its fair shares, by position; ``share`` is each group's own."""

    parent: Any
    bound: Any
    reserve: Any
    guaranteed: Any
    own: Any
    used: Any
    inside: Any
    share: Any
    path_rank: Any


class Classes(NamedTuple):
    """Classes of waiting jobs by row. ``next`` is the first job of each that has not started; it is moved on.

    Jobs stand in (minus priority, submitted, id), sorted inside a class from ``next`` to ``stop``. ``level`` is the preferred
    one, ``firm`` work cannot be preempted, ``venue`` names the pools where it may start, ``shape`` equal requests.
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
    firm: Any
    minus_priority: Any
    submitted: Any
    job: Any


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
