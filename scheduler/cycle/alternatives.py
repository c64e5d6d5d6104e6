"""With what a job that waits would start: fewer workers, another GPU class, or later, when a site lends more.

All is said as things stand after the round's starts, for the head of a class alone, by what rounds themselves ask: how many
workers a pool holds, what its group may have, what is lent and what is reserved.
"""

from __future__ import annotations

from collections.abc import Iterator

from scheduler.cycle.beside import workers_beside
from scheduler.cycle.opening import next_opening
from scheduler.cycle.plan import Alternative, AlternativeKind
from scheduler.cycle.round import Queue, Round


def alternatives(round_: Round, queue: Queue) -> tuple[Alternative, ...]:
    """Each by itself would do; none where the head lacks nothing."""
    pools = [pool for name in queue.candidates for pool in queue.pools.get(name, ())]
    workers = {pool: workers_beside(round_, queue, pool) for pool in pools}
    most = max(pools, key=lambda pool: workers[pool], default=None)
    if most is not None and workers[most] >= queue.request.workers:
        return ()
    found = []
    if most is not None and workers[most] > 0:
        found.append(_alternative(round_, queue, most, AlternativeKind.FEWER_WORKERS, workers[most]))
    found += _on_other_classes(round_, queue)
    opening = next_opening(round_, queue)
    if opening is not None:
        at_ms, pool = opening
        found.append(
            _alternative(round_, queue, pool, AlternativeKind.OPENING, queue.request.workers, at_ms),
        )
    return tuple(found)


def _on_other_classes(round_: Round, queue: Queue) -> Iterator[Alternative]:
    """Of each GPU class that the job does not name, by name, the first site that holds all of it."""
    asked = queue.request.workers
    for gpu_class in round_.snapshot.offered_classes:
        if gpu_class in queue.candidates:
            continue
        pools = queue.pools.get(gpu_class, ())
        pool = next((each for each in pools if workers_beside(round_, queue, each) >= asked), None)
        if pool is not None:
            yield _alternative(round_, queue, pool, AlternativeKind.OTHER_GPU_CLASS, asked)


def _alternative(
    round_: Round, queue: Queue, number: int, kind: AlternativeKind, workers: int, at_ms: int | None = None
) -> Alternative:
    pool = round_.site_pools[number]
    return Alternative(
        kind=kind,
        site=round_.snapshot.sites[pool.site].name,
        gpu_class=pool.gpu_class,
        workers=workers,
        gpus=workers * queue.request.gpus,
        gpus_asked=queue.request.gpus_in_all,
        at_ms=at_ms,
    )
