"""A simulation as one HTML file that needs nothing else: what was simulated, plots, and tables of every figure."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from html import escape
from pathlib import Path
from typing import Any

import numpy as np

from scheduler.model.ids import GroupId
from scheduler.simulator.bound import sentence
from scheduler.simulator.metrics import SIZE_CLASSES, Measured
from scheduler.simulator.plot import areas, bars, curves
from scheduler.simulator.simulation import Outcome
from scheduler.simulator.standing_figures import standing_curve

#: Groups with curves of their own; the others are one.
GROUPS_SHOWN = 7

#: (name, outcome, figures), the one that the report is about first.
Shown = tuple[str, Outcome, Measured]

_STYLE = """
body{font:15px/1.5 system-ui,"Noto Sans KR",sans-serif;max-width:900px;
margin:2rem auto;padding:0 1rem;color:#1a1a1a;background:#fff}
h2{margin-top:2.2rem;font-size:1.15rem} svg{width:100%;height:auto} svg text{font-size:11px;fill:#444}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums;font-size:13px}
th,td{text-align:right;padding:.25rem .5rem;border-bottom:1px solid #ddd} th:first-child,td:first-child{text-align:left}
.legend span{margin-right:1rem;font-size:13px} .legend i{display:inline-block;width:.8em;height:.8em;margin-right:.35em}
.scroll{overflow-x:auto} p.note{color:#444;font-size:13px}
"""

_COMPLETED = ("completed", "completed", "{:,.0f}")
_COLUMNS = (
    _COMPLETED,
    ("mean_jct_s", "mean completion, s", "{:,.0f}"),
    ("p50_jct_s", "p50", "{:,.0f}"),
    ("p99_jct_s", "p99", "{:,.0f}"),
    ("mean_wait_s", "mean wait, s", "{:,.0f}"),
    ("p99_wait_s", "p99 wait, s", "{:,.0f}"),
    ("bounded_slowdown_mean", "slowdown (10 s)", "{:,.2f}"),
    ("bounded_slowdown_600_mean", "slowdown (600 s)", "{:,.2f}"),
)
_WHOLE = (
    _COMPLETED,
    ("not_started", "never started", "{:,.0f}"),
    *_COLUMNS[1:],
    ("utilisation", "utilisation", "{:.1%}"),
    ("preemptions", "preemptions", "{:,.0f}"),
    ("gpu_seconds_lost", "GPU-seconds lost", "{:,.0f}"),
    ("lower_bound_mean_jct_s", "lower bound, s", "{:,.0f}"),
    ("times_the_bound", "times the bound", "{:.3f}"),
)
_SIZE = (*_COLUMNS, ("scheduling_goodput", "goodput", "{:.1%}"))
_OWED = (
    ("preemption_waste_ratio", "preemption waste", "{:.2%}"),
    ("preemptions_a_job", "preemptions a job", "{:.3f}"),
    ("collateral", "collateral", "{:.2f}"),
    ("time_to_guarantee_p50_s", "to guarantee p50, s", "{:,.0f}"),
    ("time_to_guarantee_p99_s", "p99", "{:,.0f}"),
    ("guarantee_violation_s", "violation, s", "{:,.0f}"),
    ("guarantee_deficit_gpu_hours", "deficit, GPU-h", "{:,.0f}"),
    ("reclaim_compliance", "recalls kept", "{:.1%}"),
    ("lender_regret_gpu_hours", "lender regret, GPU-h", "{:,.1f}"),
)
_POSSIBLE = (
    ("utilisation", "utilisation", "{:.1%}"),
    ("utilisation_ceiling", "ceiling", "{:.1%}"),
    ("part_of_ceiling", "part of it", "{:.1%}"),
    ("finish_time_fairness_mean", "finish-time fairness, mean", "{:.2f}"),
    ("finish_time_fairness_worst", "worst", "{:,.2f}"),
    ("finish_time_unfair_part", "above 1.05", "{:.1%}"),
)
_GROUP = (
    *_COLUMNS,
    ("entitled_gpu_hours", "entitled, GPU-h", "{:,.0f}"),
    ("had_gpu_hours", "had, GPU-h", "{:,.0f}"),
    ("worst_lag_gpu_hours", "worst lag, GPU-h", "{:,.0f}"),
    ("time_to_guarantee_p99_s", "to guarantee p99, s", "{:,.0f}"),
    ("guarantee_violation_s", "violation, s", "{:,.0f}"),
)
_STANDING = (
    ("standing_gpus", "at the end, GPUs", "{:+,.2f}"),
    ("lent_gpu_hours", "lent in all, GPU-h", "{:,.1f}"),
    ("surged_gpu_hours", "above its share in all, GPU-h", "{:,.1f}"),
    ("sooner_gpus", "started sooner by it, GPUs", "{:,.0f}"),
    ("later_gpus", "made wait by it, GPUs", "{:,.0f}"),
)


def write_report(results: Sequence[Shown], path: Path) -> None:
    """Write the page about the first result, with the others beside it in tables and bars."""
    path.write_text("".join(_page(results)), encoding="utf-8")


def _page(results: Sequence[Shown]) -> Iterator[str]:
    name, outcome, measured = results[0]
    figures = measured.document
    title = escape(f"{outcome.cluster.name or 'cluster'}: {name}")
    yield f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title><style>{_STYLE}</style></head>'
    yield f"<body><h1>{title}</h1>"
    yield (
        f"<p>{figures['jobs']:,} jobs on {len(outcome.cluster.nodes):,} nodes with {figures['devices']:,} devices. "
        f"Order {outcome.policy.order.value}, durations {outcome.policy.durations.value}, a preemption costs "
        f"{outcome.policy.preemption_cost_ms / 1000:,.0f} s. {figures['rounds']:,} rounds.</p>"
    )
    yield _section("Schedulers side by side", _table(((each[0], each[2].document) for each in results), _WHOLE))
    yield _section("Distance to the bound", _sentences(results) + _bound(results))
    yield _section("What was owed, and what it cost", _table(((each[0], each[2].document) for each in results), _OWED))
    yield _section("What could have been", _table(((each[0], each[2].document) for each in results), _POSSIBLE))
    yield from _over_time(outcome, measured)
    yield _section("Waits by size class", _waits(results))
    yield _section("Size classes", _table(figures["by_size"].items(), _SIZE))
    yield _section("Groups", _table(figures["by_group"].items(), _GROUP))
    yield (
        '<p class="note">Completion time: end minus submission. Wait: completion time minus the run time alone. Slowdown: '
        "max(1, completion time / max(run time, bound)). Lag: the most by which a group fell behind its fair share of its own "
        "demand between two of the moments drawn. Preemption waste: GPU time that stopped runs lost, over that of all work. "
        "Collateral: GPUs of runs that were ended, over those of them that the job they made way for held. Violation, deficit: "
        "time, and GPU time, for which groups had less than they asked for within their guarantees. Ceiling: what any scheduler "
        "could have used at the most. Goodput: what ran, over what was asked for and open. Finish-time fairness: completion time "
        "over that on the job's own part of the devices.</p></body></html>"
    )


def _section(title: str, body: str) -> str:
    return f"<section><h2>{escape(title)}</h2>{body}</section>"


def _table(rows: Any, columns: Sequence[tuple[str, str, str]]) -> str:
    head = "".join(f"<th>{escape(label)}</th>" for _, label, _ in columns)
    body = "".join(
        f"<tr><td>{escape(str(name))}</td>"
        + "".join(f"<td>{_cell(figures.get(key), form)}</td>" for key, _, form in columns)
        + "</tr>"
        for name, figures in rows
    )
    return f'<div class="scroll"><table><thead><tr><th></th>{head}</tr></thead><tbody>{body}</tbody></table></div>'


def _cell(value: float | None, form: str) -> str:
    return "–" if value is None else form.format(value)


def _sentences(results: Sequence[Shown]) -> str:
    told = [sentence(each[0], each[2].document) for each in results]
    return "".join(f"<p>{escape(each[0])}</p>" for each in told if each is not None)


def _bound(results: Sequence[Shown]) -> str:
    """Mean completion beside what nothing could beat: the certificate, and, always, run times without any wait."""
    labels = [each[0] for each in results]
    figures = [each[2].document for each in results]
    series = {
        "mean completion": [each["mean_jct_s"] or 0.0 for each in figures],
        "mean run time alone": [each["mean_duration_s"] or 0.0 for each in figures],
    }
    if figures[0]["lower_bound_mean_jct_s"]:
        series["lower bound"] = [each["lower_bound_mean_jct_s"] or 0.0 for each in figures]
    return bars(labels, series, unit="s")


def _waits(results: Sequence[Shown]) -> str:
    names = [name for _, name in SIZE_CLASSES if name in results[0][2].document["by_size"]]
    series = {
        each[0]: [each[2].document["by_size"].get(name, {}).get("mean_wait_s") or 0.0 for name in names]
        for each in results
    }
    return bars(names, series, unit="mean wait, s (logarithmic)", logarithmic=True)


def _over_time(outcome: Outcome, measured: Measured) -> Iterator[str]:
    line, share = measured.line, measured.entitlement
    days = (line.times_ms / 86_400_000).tolist()
    capacity = line.capacity.at(line.times_ms)
    largest = np.argsort(-line.held.sum(axis=1), kind="stable").tolist()
    order = [index for index in largest if line.held[index].any() or share.share[index].any()]
    shown, others = order[:GROUPS_SHOWN], order[GROUPS_SHOWN:]
    names = outcome.workload.groups
    held = {names[index]: line.held[index].tolist() for index in shown}
    entitled = {names[index]: share.share[index].tolist() for index in shown}
    if others:
        held["others"] = line.held[others].sum(axis=0).tolist()
        entitled["others"] = share.share[others].sum(axis=0).tolist()
    yield _section("Use by group", areas(days, held, unit="devices", line=capacity.tolist()))
    yield _section("Use against entitlement (dashed)", curves(days, held, unit="devices", dashed=entitled))
    if figures := measured.document["standing"]:
        yield _section("Standing", _standings(outcome, measured, figures))
    used = {"allocated": (line.held.sum(axis=0) / np.maximum(capacity, 1)).tolist()}
    yield _section("Utilisation", curves(days, used, unit="part of open devices"))
    lost = {"partly used nodes": (line.partly_used / len(outcome.cluster.nodes)).tolist()}
    for level, by_block in line.stranded.items():
        if by_block:
            block = max(by_block)
            lost[f"free in no {block} of a {level.value}"] = by_block[block].tolist()
    yield _section("Fragmentation", curves(days, lost, unit="part of nodes, of free devices") + _packing(measured))
    yield _section("Preemption waste", curves(days, _waste(outcome, measured), unit="GPU-hours lost so far"))


def _packing(measured: Measured) -> str:
    """How gangs lay, and how much of what was free was stranded, by the block that a gang would need."""
    figures = measured.document
    told = [f"{level}s {value:.2f}" for level, value in figures["locality"].items() if value is not None]
    blocks = [
        f"{block} of a {level} {part:.1%}"
        for level, by_block in figures["stranding_mean"].items()
        for block, part in by_block.items()
    ]
    return (
        f'<p class="note">Domains that gangs spanned, over the fewest that could have held them: {", ".join(told) or "–"}. '
        f"Free devices in no whole block, on average: {', '.join(blocks) or '–'}.</p>"
    )


def _standings(outcome: Outcome, measured: Measured, figures: Mapping[str, Mapping[str, float]]) -> str:
    """Curves of those who lent and surged most, and what became of everybody's."""
    most = sorted(figures, key=lambda path: -figures[path]["lent_gpu_hours"] - figures[path]["surged_gpu_hours"])
    ids = {path: GroupId(number) for number, path in enumerate(outcome.workload.groups, 1)}
    times = measured.line.times_ms
    shown = {path: standing_curve(outcome, ids[path], times).tolist() for path in most[:GROUPS_SHOWN]}
    note = (
        '<p class="note">Standing: GPU-hours that others used of what a group lent, less those that it held above its share, '
        "recent ones counting most. Sooner, and made wait: GPUs that rounds started, or did not start, for the group itself and "
        "would not, or would, have started without anybody's standing.</p>"
    )
    days = (times / 86_400_000).tolist()
    return (
        curves(days, shown, unit="GPUs on average") + _table(((path, figures[path]) for path in most), _STANDING) + note
    )


def _waste(outcome: Outcome, measured: Measured) -> Mapping[str, list[float]]:
    """GPU-hours lost up to each sample, by what ended the runs."""
    found: dict[str, list[float]] = {}
    lost = [each for each in outcome.history.segments if each.lost_ms]
    for cause in sorted({each.cause.value for each in lost}) or ["none"]:
        mine = sorted((each.end_ms, each.lost_ms * each.job.gpus / 3.6e6) for each in lost if each.cause.value == cause)
        sums = np.concatenate(([0.0], np.cumsum([hours for _, hours in mine])))
        at = np.searchsorted(np.array([end_ms for end_ms, _ in mine]), measured.line.times_ms, side="right")
        found[cause] = sums[at].tolist()
    return found
