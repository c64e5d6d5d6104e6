"""How much of the capacity any scheduler could have used, and how much of the demand of each size of gang was served."""

from __future__ import annotations

import numpy as np

from scheduler.simulator.timeline import Steps


def utilisation_ceiling(demand: Steps, capacity: Steps, begin_ms: int, end_ms: int) -> float:
    """The most of ∫R dt that work can take up in [begin, end): U / ∫R dt, the work-conserving fluid with caps g_j.

    ``demand`` is A(t), the devices of all jobs if each ran from its submission for its run time, alone. By a time s no more than
    ∫A can have been done, and afterwards no more than R: U = min_s [∫_begin^s A + ∫_s^end R], a fluid queue's output.
    """
    inside = np.union1d(demand.times_ms, capacity.times_ms)
    times = np.concatenate(([begin_ms], inside[(inside > begin_ms) & (inside < end_ms)], [end_ms]))
    lasts = np.diff(times)
    asked = np.concatenate(([0.0], np.cumsum(demand.at(times[:-1]) * lasts, dtype=np.float64)))
    open_ = np.concatenate(([0.0], np.cumsum(capacity.at(times[:-1]) * lasts, dtype=np.float64)))
    if open_[-1] <= 0:
        return 0.0
    return float((asked - open_).min() + open_[-1]) / float(open_[-1])


def scheduling_goodput(allocated: Steps, asked: Steps, capacity: Steps, begin_ms: int, end_ms: int) -> float | None:
    """SG = ∫ devices of gangs that run whole dt / ∫ min(d, R) dt over [begin, end) of one size class; None: it asks for none.

    What is eligible for a class is what its jobs ask for, d, as far as that is open, R: an idle cluster is nobody's fault.
    """
    inside = np.union1d(asked.times_ms, capacity.times_ms)
    times = np.concatenate(([begin_ms], inside[(inside > begin_ms) & (inside < end_ms)], [end_ms]))
    wanted = np.minimum(asked.at(times[:-1]), capacity.at(times[:-1]))
    eligible = float((wanted * np.diff(times)).sum(dtype=np.float64))
    return allocated.integral(begin_ms, end_ms) / eligible if eligible else None
