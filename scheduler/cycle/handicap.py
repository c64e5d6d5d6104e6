"""Order inside a group: by how much later than it did a job is taken to have come.

A group's jobs of one priority stand by ``submitted_ms + handicap_ms``, ties by id; ``fifo`` gives nobody a handicap. The
handicap is in proportion to GPU time, that which a job has before it (``least_work``) or has had (``least_served``):

* ``least_work`` is ServerFilling-SRPT's order (Grosof, Scully, Harchol-Balter and Scheller-Wolf, "Optimal scheduling in
  the multiserver-job model under heavy traffic", 2022), on remaining work as far as it is predicted.
* ``least_served`` is Tiresias' two-dimensional least attained service (Gu and others, 2019): who has had the least GPU
  time goes first, which helps short jobs without knowing which they are. Where ``least_work`` knows nothing of a job, and
  where one took longer than predicted, it does the same, since what is left is then thought to be what was had.

Ageing is in the sum, so that it costs a round nothing: an hour of waiting weighs as much as one GPU-hour, and two jobs keep
their order for as long as they wait. That bounds what a job can lose. Let ``late`` have come after
``early``, in its group and of its priority, and stand before it. Then ``late.submitted <= late.submitted +
late.handicap <= early.submitted + early.handicap``, so that it came no more than ``early.handicap`` after ``early``: from
then on nobody passes it, and as no handicap is above ``HANDICAP_MS_MAX``, nobody ever passes a job that has waited so long.

A job's handicap is of the moment at which it began to wait. What is learned of like jobs later changes it when the job
waits again after a run, or when its group's order is set anew: so what rounds decide depends on the record alone, and jobs
that wait cost nothing.
"""

from __future__ import annotations

from scheduler.cycle.prediction import left_ms
from scheduler.model.group_order import GroupOrder

#: Of a job of a week of one GPU's work, or more; what is longer stands in the order in which it came.
HANDICAP_MS_MAX = 7 * 86_400_000


def handicap_ms(order: GroupOrder, *, gpus: int, whole_ms: int | None, served_ms: int) -> int:
    """What ``order`` adds to the time at which a job came, 0 or more.

    ``whole_ms`` is the run time that it is thought to take in all, None where nobody can tell; ``served_ms`` is what it has
    had of it.
    """
    if order is GroupOrder.FIFO:
        return 0
    counted_ms = served_ms if order is GroupOrder.LEAST_SERVED else left_ms(whole_ms, served_ms)
    return min(gpus * counted_ms, HANDICAP_MS_MAX)
