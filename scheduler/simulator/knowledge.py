"""What the scheduler is told of a job: how long it still runs, where it stands in its group, and at what priority."""

from __future__ import annotations

from collections.abc import Mapping
from math import ceil, log2

from scheduler.cycle.prediction import has_outrun, left_ms
from scheduler.model.ids import GroupId
from scheduler.simulator.policy import Durations, Order
from scheduler.simulator.prediction import Prediction
from scheduler.simulator.workload import SimJob

#: A job of which nothing is known stands behind all of which something is, by any order.
UNKNOWN_MS = 366 * 86_400_000
#: Jobs that are no further apart than this, in what their order counts, are of one level: it is not worth a preemption.
LEVEL_LEAST = 60_000
#: Levels stay inside a priority class: no more of them than this.
LEVELS_MAX = 10_000


class Knowledge:
    """One policy's view of durations, and each group's order.

    With ``levels_per_doubling`` an order counts as priority too: see ``Policy``. At one instant a job has one level, whether it
    runs or waits: what is learned meanwhile, and what a stop costs, change it at a later one. So a job that was stopped has
    nothing from it, each stop puts the levels of what runs lower, and the rounds of an instant come to an end.
    """

    def __init__(
        self, durations: Durations, order: Order, orders: Mapping[GroupId, Order], levels_per_doubling: int = 0
    ) -> None:
        self._durations = durations
        self._order = order
        self._orders = orders
        self._levels = levels_per_doubling
        self._prediction = Prediction()

    def tell(self, job: SimJob, *, again: bool = False) -> None:
        """Set ``expected_ms``, ``order`` and ``level`` of a job that begins to wait; ``again``: it keeps the level of its run."""
        job.expected_ms = self._expected(job, 0)
        job.order = self._standing(job, 0)
        if not again:
            job.level = self._level(job, job.order)

    def ended(self, job: SimJob) -> None:
        """A job has finished: what comes after may learn from it."""
        if self._durations is Durations.PREDICTED:
            self._prediction.saw(job)

    def walltime_ms(self, job: SimJob) -> int | None:
        """For how long a run that starts now may last at the most, by what ends it; None: by nothing.

        What is merely predicted ends nothing. Restarts and lost work are not held against a job.
        """
        if self._durations is Durations.KNOWN:
            return job.left_ms
        return None if job.limit_ms is None else job.limit_ms + job.lost_ms - job.served_ms

    def priority(self, job: SimJob) -> int:
        """The priority that the scheduler knows: the class, and the level inside it."""
        return job.priority * LEVELS_MAX - job.level if self._levels else job.priority

    def relevel(self, job: SimJob, ran_ms: int) -> bool:
        """Set the level of a job whose run has lasted ``ran_ms``; answer whether it is another one than before."""
        before, job.level = job.level, self._level(job, self._standing(job, ran_ms))
        return before != job.level

    def level_holds_ms(self, job: SimJob, ran_ms: int) -> int | None:
        """For how long a run that has lasted ``ran_ms`` keeps its level at least, 1 ms or more; None: while it lasts."""
        order = self._order_of(job)
        if not self._levels or order is Order.FIFO:
            return None
        value, each = self._standing(job, ran_ms), 1 if order is Order.SHORTEST else job.gpus
        level, grows = self._level(job, value), order is Order.LEAST_SERVED
        if not grows:
            if job.expected_ms is None:
                return None
            grows = self._durations is Durations.PREDICTED and self._outran(job, ran_ms)
        if grows:
            bound = _least_of(level + 1, self._levels)
            return max(-(-(bound - value) // each), 1)
        if level == 0:  # nothing is in front of it; one that outruns its prediction moves back
            return max(value // each, 1) if self._durations is Durations.PREDICTED else None
        return max((value - _least_of(level, self._levels)) // each + 1, 1)

    def _order_of(self, job: SimJob) -> Order:
        return self._orders.get(job.group, self._order)

    def _standing(self, job: SimJob, ran_ms: int) -> int:
        order = self._order_of(job)
        if order is Order.FIFO:
            return job.submit_ms
        if order is Order.LEAST_SERVED:
            return job.gpus * (job.served_ms + ran_ms)
        expected_ms = self._expected(job, ran_ms)
        left = UNKNOWN_MS if expected_ms is None else expected_ms
        return left * job.gpus if order is Order.LEAST_WORK else left

    def _level(self, job: SimJob, value: int) -> int:
        if not self._levels or self._order_of(job) is Order.FIFO or value < LEVEL_LEAST:
            return 0
        return int(log2(value / LEVEL_LEAST) * self._levels) + 1

    def _expected(self, job: SimJob, ran_ms: int) -> int | None:
        if self._durations is Durations.KNOWN:
            return job.left_ms - ran_ms
        whole = self._whole(job)
        if whole is None:
            return None
        told_ms, had_ms = whole + job.lost_ms, job.served_ms + ran_ms
        if self._durations is Durations.PREDICTED:
            return left_ms(told_ms, had_ms)
        return max(told_ms - had_ms, 0)

    def _whole(self, job: SimJob) -> int | None:
        return job.walltime_ms if self._durations is Durations.WALLTIME else self._prediction.of(job)

    def _outran(self, job: SimJob, ran_ms: int) -> bool:
        """Whether it has run for longer than predicted: then it is thought to run as long again, as in heavy tails."""
        whole = self._whole(job)
        return whole is not None and has_outrun(whole + job.lost_ms, job.served_ms + ran_ms)


def _least_of(level: int, levels_per_doubling: int) -> int:
    """The least value of a level above 0."""
    doublings = (level - 1) / levels_per_doubling
    return ceil(LEVEL_LEAST * float(2.0**doublings))
