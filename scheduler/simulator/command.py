"""``dure simulate``: from options to files. Needs no server; how results are shown is the caller's to say."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence, Set
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from scheduler.model.errors import ConfigurationError
from scheduler.simulator.cluster import Cluster, read_cluster
from scheduler.simulator.decisions import write_decisions
from scheduler.simulator.metrics import Measured, measure
from scheduler.simulator.policy import Baseline, Policy, read_policy
from scheduler.simulator.report import write_report
from scheduler.simulator.scenario import SCENARIOS, Scale, build_scenario
from scheduler.simulator.simulation import Outcome, simulate
from scheduler.simulator.trace import TraceRow, UnreadRows, Window, cut, read_trace


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the user asked for. ``compare`` names baselines to run beside the policy's own way."""

    trace: Path | None = None
    cluster: Path | None = None
    scenario: str | None = None
    scale: Scale = field(default_factory=Scale)
    policy: Path | None = None
    window: Window = field(default_factory=Window)
    seed: int = 0
    compare: tuple[str, ...] = ()
    json: Path | None = None
    decisions: Path | None = None
    report: Path | None = None
    bound: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One schedule of those compared; the policy's own is the first."""

    name: str
    outcome: Outcome
    measured: Measured


def run(options: Options) -> list[Result]:
    """Simulate as asked, write the files that were asked for, and answer the results.

    Raises ConfigurationError for options and files that cannot be used.
    """
    rows, cluster, policy = load(options)
    results = list(_results(rows, cluster, policy, options))
    if options.json is not None:
        with _writing(options.json):
            options.json.write_text(json.dumps(document(results, options), indent=1) + "\n", encoding="utf-8")
    if options.decisions is not None:
        with _writing(options.decisions):
            write_decisions(results[0].outcome, options.decisions)
    if options.report is not None:
        with _writing(options.report):
            write_report([(each.name, each.outcome, each.measured) for each in results], options.report)
    return results


def load(options: Options) -> tuple[list[TraceRow] | UnreadRows, Cluster, Policy]:
    """The jobs, the cluster and the policy that the options name."""
    given = read_policy(options.policy)
    if options.scenario is not None:
        if options.trace is not None or options.cluster is not None:
            raise ConfigurationError(
                "--scenario makes its own trace and cluster: leave out --trace and --cluster",
                "--scenario는 작업 기록과 클러스터를 스스로 만듭니다. --trace와 --cluster를 빼십시오",
            )
        if options.scenario not in SCENARIOS:
            known = ", ".join(SCENARIOS)
            raise ConfigurationError(f"--scenario: there is {known}", f"--scenario: {known}이(가) 있습니다")
        made = build_scenario(options.scenario, options.scale, options.seed)
        policy = made.policy if options.policy is None else given
        rows = made.rows if options.window == Window() else cut(made.rows, options.window, options.seed)
        return rows, made.cluster, policy
    if options.trace is None or options.cluster is None:
        raise ConfigurationError(
            "give --trace FILE and --cluster FILE, or --scenario NAME",
            "--trace FILE과 --cluster FILE을 쓰거나 --scenario NAME을 쓰십시오",
        )
    return cut(read_trace(options.trace), options.window, options.seed), read_cluster(options.cluster), given


def _results(
    rows: Sequence[TraceRow] | UnreadRows, cluster: Cluster, policy: Policy, options: Options
) -> Iterator[Result]:
    names = [policy.baseline.value, *(each.value for each in policy.baselines), *options.compare]
    lower: float | None = None
    completed: Set[int] = frozenset()
    for number, name in enumerate(dict.fromkeys(names)):
        if name not in set(Baseline):
            known = ", ".join(each.value for each in Baseline)
            raise ConfigurationError(f"--compare: choose of {known}", f"--compare: 다음 중에서 고르십시오: {known}")
        baseline = Baseline(name)
        outcome = simulate(rows, cluster, policy.model_copy(update={"baseline": baseline}), seed=options.seed)
        measured = measure(outcome, bound=options.bound and number == 0)
        if number == 0:
            lower = measured.document["lower_bound_mean_jct_s"]
            completed = outcome.history.ends_ms.keys()
        elif lower and completed == outcome.history.ends_ms.keys():
            mean = measured.document["mean_jct_s"]
            measured.document["lower_bound_mean_jct_s"] = lower
            measured.document["times_the_bound"] = None if mean is None else mean / lower
        yield Result(name="dure" if baseline is Baseline.NONE else name, outcome=outcome, measured=measured)


def document(results: Sequence[Result], options: Options) -> dict[str, Any]:
    """What ``--json`` writes: the first result's figures, what was simulated, and the others under ``compared``."""
    first = results[0]
    return {
        **first.measured.document,
        "trace": None if options.trace is None else options.trace.name,
        "scenario": options.scenario,
        "cluster": first.outcome.cluster.name,
        "seed": options.seed,
        "load_factor": options.window.load_factor,
        "policy": first.outcome.policy.model_dump(
            mode="json", exclude={"offers", "recalls", "maintenance", "failures", "groups"}
        ),
        "compared": {each.name: each.measured.document for each in results[1:]},
    }


@contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as fault:
        raise ConfigurationError(f"{path} cannot be written: {fault}", f"{path}에 쓸 수 없습니다: {fault}") from fault
