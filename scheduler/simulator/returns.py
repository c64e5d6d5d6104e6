"""Whether lenders had their nodes back when they had asked for them to be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from scheduler.model.recall import Recall
from scheduler.simulator.history import Segment


def return_figures(recalls: Sequence[Recall], segments: Sequence[Segment], end_ms: int) -> dict[str, Any]:
    """Figures of a history that ends at ``end_ms``; recalls that are due only later are not counted."""
    due = [each for each in recalls if each.by_ms <= end_ms]
    nodes = {node for each in due for node in each.node_ids}
    on: dict[int, list[tuple[int, int, int]]] = {}
    for segment in segments if nodes else ():
        for index, devices in segment.gang:
            if index + 1 in nodes:
                on.setdefault(index + 1, []).append((segment.start_ms, segment.end_ms, devices))
    kept = early_ms = regret = count = 0
    for recall in due:
        returned = [returned_ms(recall, on.get(node, ())) for node in recall.node_ids]
        kept += all(at_ms <= recall.by_ms for at_ms in returned)
        early_ms += sum(recall.by_ms - at_ms for at_ms in returned)
        count += len(returned)
        regret += sum(denied(recall, on.get(node, ()), end_ms) for node in recall.node_ids)
    return {
        "recalls": len(due),
        "reclaim_compliance": kept / len(due) if due else None,
        "reclaim_early_slack_mean_s": early_ms / count / 1000 if count else None,
        "lender_regret_gpu_hours": regret / 3.6e6,
    }


def returned_ms(recall: Recall, runs: Sequence[tuple[int, int, int]]) -> int:
    """When a recalled node was free of ``runs``, (start, end, devices), that were on it by the deadline; at the earliest when it
    was asked for. The recall is complied with where that is t_notice + N, its deadline, or before, for each of its nodes; what
    is left until then is early slack."""
    ends = [end_ms for start_ms, end_ms, _ in runs if start_ms < recall.by_ms]
    return max([recall.asked_ms, *ends])


def denied(recall: Recall, runs: Sequence[tuple[int, int, int]], end_ms: int) -> int:
    """Lender regret, in device ms: Σ devices of runs on a recalled node · the time that they were there from the deadline until
    the lender lends it again. Has to be 0."""
    over_ms = end_ms if recall.until_ms is None else min(recall.until_ms, end_ms)
    return sum(gpus * max(0, min(stop, over_ms) - max(start, recall.by_ms)) for start, stop, gpus in runs)
