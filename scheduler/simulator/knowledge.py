"""What the scheduler is told of a job while it waits: how long it still runs, and where it stands in its group."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.ids import GroupId
from scheduler.simulator.policy import Durations, Order
from scheduler.simulator.prediction import Prediction
from scheduler.simulator.workload import SimJob

#: A job of which nothing is known stands behind all of which something is, by any order.
UNKNOWN_MS = 366 * 86_400_000


class Knowledge:
    """One policy's view of durations, and each group's order."""

    def __init__(self, durations: Durations, order: Order, orders: Mapping[GroupId, Order]) -> None:
        self._durations = durations
        self._order = order
        self._orders = orders
        self._prediction = Prediction()

    def tell(self, job: SimJob) -> None:
        """Set ``expected_ms`` and ``order`` of a job that begins to wait."""
        job.expected_ms = self._expected(job)
        order = self._orders.get(job.group, self._order)
        if order is Order.FIFO:
            job.order = job.submit_ms
        elif order is Order.LEAST_SERVED:
            job.order = job.gpus * job.served_ms
        else:
            left = UNKNOWN_MS if job.expected_ms is None else job.expected_ms
            job.order = left * job.gpus if order is Order.LEAST_WORK else left

    def ended(self, job: SimJob) -> None:
        """A job has finished: what comes after may learn from it."""
        if self._durations is Durations.PREDICTED:
            self._prediction.saw(job)

    def _expected(self, job: SimJob) -> int | None:
        if self._durations is Durations.KNOWN:
            return job.left_ms
        whole = job.walltime_ms if self._durations is Durations.WALLTIME else self._prediction.of(job)
        if whole is None:
            return None
        return max(whole + job.lost_ms - job.served_ms, 0)
