"""Synthetic traces from published marginals, with lenders' windows, recalls and node failures.

Run times are log-normal with the mean and median that AcmeTrace publishes for five clusters (Hu et al., NSDI 2024, table
of Seren, Kalos, Philly, Helios and PAI); sizes are powers of two whose weights fall geometrically, as steeply as the
published mean asks. Arrivals are bursty: each group's hourly rate is drawn from a gamma distribution whose shape gives one
group the dispersion that Philly's hours have (variance 164 times the mean at 31.5 jobs an hour). Nodes fail 3.8 times in
1,000 node-days (Llama 3, Meta 2024).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate
from random import Random
from typing import Any

from scheduler.model.offer import Sector
from scheduler.simulator.cluster import Cluster, build_cluster
from scheduler.simulator.policy import Policy, parse_policy
from scheduler.simulator.trace import TraceRow, UnreadRows

_HOUR, _DAY, _WEEK = 3600, 86_400, 604_800
_GAMMA_SHAPE = 31.5 / 163
_FAILURES_A_NODE_DAY = 3.8 / 1000
_USERS = 8  #: of each project
_REPAIR_SECONDS = (1800, 4 * _HOUR)
#: A log-normal tail is cut where no real job of these clusters went.
_DURATION_SECONDS_MAX = 30 * _DAY


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """Jobs like those of one cluster: run time in seconds, GPUs a job, and the part of all GPU time they make up."""

    name: str
    mean_seconds: float
    median_seconds: float
    mean_gpus: float
    gpus_min: int
    gpus_max: int
    part: float
    failed: float


#: Beside the five published clusters, the long gangs that make up most GPU time of large-model centres.
SOURCES = (
    Source(name="philly", mean_seconds=18_006, median_seconds=874, mean_gpus=1.93, gpus_min=1, gpus_max=128, part=0.28,
           failed=0.305),
    Source(name="helios", mean_seconds=6652, median_seconds=206, mean_gpus=3.72, gpus_min=1, gpus_max=2048, part=0.14,
           failed=0.155),
    Source(name="seren", mean_seconds=1414, median_seconds=122, mean_gpus=5.68, gpus_min=1, gpus_max=1024, part=0.04,
           failed=0.429),
    Source(name="kalos", mean_seconds=1260, median_seconds=124, mean_gpus=26.8, gpus_min=1, gpus_max=1024, part=0.08,
           failed=0.397),
    Source(name="pai", mean_seconds=4787, median_seconds=481, mean_gpus=1.0, gpus_min=1, gpus_max=8, part=0.02,
           failed=0.2),
    Source(name="pretraining", mean_seconds=172_800, median_seconds=86_400, mean_gpus=192, gpus_min=64, gpus_max=4096,
           part=0.44, failed=0.3),
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """How much of a scenario: its part of the nation's nodes, its length, and its offered load."""

    nodes: float = 0.01
    days: float = 7.0
    load: float = 0.9


@dataclass(frozen=True, slots=True, kw_only=True)
class Scenario:
    """A made-up federation: its jobs by submission, its cluster, its policy."""

    rows: MadeRows
    cluster: Cluster
    policy: Policy


@dataclass(frozen=True, slots=True, kw_only=True)
class _Site:
    name: str
    gpu_type: str
    gpus: int
    gpus_per_node: int = 8
    lends: str = ""  #: "" is the state's own; always, nights or weekends


#: 50,000 GPUs of the state and 210,000 that companies lend.
_KOREA = (
    _Site(name="national-1", gpu_type="h200", gpus=20_000),
    _Site(name="national-2", gpu_type="b200", gpus=30_000),
    _Site(name="company-1", gpu_type="h100", gpus=50_000, lends="always"),
    _Site(name="company-2", gpu_type="h200", gpus=40_000, lends="nights"),
    _Site(name="company-3", gpu_type="b200", gpus=40_000, lends="always"),
    _Site(name="company-4", gpu_type="b200", gpus=40_000, lends="weekends"),
    _Site(name="company-5", gpu_type="gb200", gpus=40_000, gpus_per_node=4, lends="always"),
)
SCENARIOS = {"korea": _KOREA}
_WINDOWS: Mapping[str, Sequence[Mapping[str, str]]] = {
    "nights": ({"from": "20:00", "to": "08:00"},),
    "weekends": (
        {"days": "fri", "from": "20:00", "to": "00:00"},
        {"days": "sat-sun"},
        {"days": "mon", "to": "08:00"},
    ),
}

#: Sector, its part of the guarantees, its institutions, projects of each.
_SECTORS = (("public", 0.2, 4, 3), ("startup", 0.2, 6, 2), ("research", 0.3, 5, 4), ("national", 0.3, 2, 2))
_GUARANTEED = 0.6  #: part of all GPUs that is guaranteed to somebody
_LENDERS_PART = 0.05  #: of all GPU time, what jobs of the lenders' own groups make up; nothing is guaranteed to these


def build_scenario(name: str, scale: Scale, seed: int) -> Scenario:
    """Make a scenario. The same name, scale and seed give the same one."""
    dice = Random(seed)  # noqa: S311 - an experiment's dice, protecting nothing
    sites = SCENARIOS[name]
    counts = {site.name: max(2, round(site.gpus / site.gpus_per_node * scale.nodes)) for site in sites}
    cluster = build_cluster(
        {"name": name, "device": "gpu", "nodes": [_entry(site, counts[site.name]) for site in sites]}
    )
    projects = list(_projects(sites))
    policy = {
        "groups": [*_groups(cluster), *({"path": _lender(site)} for site in sites if site.lends)],
        "offers": list(_offers(sites, counts)),
        "recalls": list(_recalls(sites, counts, scale, dice)),
        "failures": list(_failures(cluster, scale, dice)),
        "begins": "2026-01-05T00:00:00+09:00",
        "order": "least_work",
        "durations": "predicted",
        "standing": True,
    }
    rows = MadeRows(tuple(projects), cluster.devices, scale, seed)
    return Scenario(rows=rows, cluster=cluster, policy=parse_policy(policy, name))


def _entry(site: _Site, count: int) -> dict[str, Any]:
    leaf, spine = (16, 64) if site.gpus_per_node == 4 else (32, 256)
    known = {"gpus_per_node": site.gpus_per_node, "gpu_type": site.gpu_type, "cpus": 128, "mem_gb": 2048}
    return {"count": count, "site": site.name, "leaf_nodes": leaf, "spine_nodes": spine} | known


def _projects(sites: Sequence[_Site]) -> Iterator[tuple[str, float]]:
    """Path and part of the load of every group that has jobs: projects by what is guaranteed to them, lenders alike."""
    for sector, part, institutions, projects in _SECTORS:
        for institution in range(1, institutions + 1):
            for project in range(1, projects + 1):
                path = f"{sector}.{sector}-{institution}.{sector}-{institution}-{project}"
                yield path, (1 - _LENDERS_PART) * part / institutions / projects
    lenders = [site for site in sites if site.lends]
    for site in lenders:
        yield _lender(site), _LENDERS_PART / len(lenders)


def _lender(site: _Site) -> str:
    """The path of the group that earns standing by a site's offers."""
    return f"{Sector.PARTNER.value}.{site.name}"


def _groups(cluster: Cluster) -> Iterator[dict[str, Any]]:
    totals: dict[str, int] = {}
    for node in cluster.nodes:
        totals[node.gpu_class] = totals.get(node.gpu_class, 0) + node.gpus
    for sector, part, institutions, projects in _SECTORS:

        def quota(share: float) -> dict[str, Any]:
            return {name: {"guaranteed": int(gpus * _GUARANTEED * share)} for name, gpus in totals.items()}

        yield {"path": sector, "quota": quota(part)}
        for institution in range(1, institutions + 1):
            path = f"{sector}.{sector}-{institution}"
            yield {"path": path, "quota": quota(part / institutions)}
            for project in range(1, projects + 1):
                name = f"{path}.{sector}-{institution}-{project}"
                yield {"path": name, "quota": quota(part / institutions / projects)}


def _offers(sites: tuple[_Site, ...], counts: dict[str, int]) -> Iterator[dict[str, Any]]:
    """All of a lender's nodes with an hour's notice: for good, or half of them for good and half in windows alone.

    Nights are 20:00 to 08:00, weekends Friday 20:00 to Monday 08:00; the trace begins on a Monday at 00:00 in Seoul.
    """
    for site in (each for each in sites if each.lends):
        terms, in_windows = {"site": site.name, "notice_seconds": _HOUR, "group": _lender(site)}, counts[site.name] // 2
        if site.lends == "always":
            yield {**terms, "nodes": counts[site.name]}
            continue
        yield {**terms, "nodes": in_windows, "calendar": {"time_zone": "Asia/Seoul", "windows": _WINDOWS[site.lends]}}
        yield {**terms, "nodes": counts[site.name] - in_windows}


def _recalls(sites: tuple[_Site, ...], counts: dict[str, int], scale: Scale, dice: Random) -> Iterator[dict[str, Any]]:
    """Each lender recalls a tenth of its nodes about once a week, for one to three days, with an hour's notice."""
    for site in sites:
        at = dice.expovariate(1 / _WEEK)
        while site.lends and at < scale.days * _DAY:
            back = at + _HOUR + dice.uniform(_DAY, 3 * _DAY)
            yield {
                "site": site.name,
                "nodes": max(1, counts[site.name] // 10),
                "at_seconds": int(at),
                "by_seconds": int(at) + _HOUR,
                "until_seconds": int(back) + 1,
            }
            at = back + dice.expovariate(1 / _WEEK)


def _failures(cluster: Cluster, scale: Scale, dice: Random) -> Iterator[dict[str, Any]]:
    rate = _FAILURES_A_NODE_DAY * len(cluster.nodes) / _DAY
    at = dice.expovariate(rate)
    while at < scale.days * _DAY:
        until = at + dice.uniform(*_REPAIR_SECONDS)
        yield {"node": dice.randrange(len(cluster.nodes)), "at_seconds": int(at), "until_seconds": int(until) + 1}
        at += dice.expovariate(rate)


class MadeRows(UnreadRows):
    """The jobs of every source and project, made hour by hour: whoever goes through them holds one hour at a time. An hour is the
    same however long the scenario is."""

    def __init__(self, projects: Sequence[tuple[str, float]], devices: int, scale: Scale, seed: int) -> None:
        """``projects`` are paths with their parts of all jobs."""
        self._projects, self._seed, self._hours = projects, seed, round(scale.days * 24)
        self._users = {path: [f"{path}-{number}" for number in range(_USERS)] for path, _ in projects}
        self._mixes = [_Mix.of(source, devices, scale.load) for source in SOURCES]

    @property
    def groups(self) -> Sequence[str]:
        """Every group that has jobs."""
        return [path for path, _ in self._projects]

    @property
    def over_ms(self) -> int:
        """All are submitted before."""
        return self._hours * _HOUR * 1000

    def __iter__(self) -> Iterator[TraceRow]:
        """All of them by submission."""
        number = 0
        for hour in range(self._hours):
            made = list(self._of_hour(hour, number))
            number += len(made)
            made.sort(key=lambda row: (row.submit_ms, row.job_id))
            yield from made

    def _of_hour(self, hour: int, number: int) -> Iterator[TraceRow]:
        dice = Random(f"{self._seed} {hour}")  # noqa: S311 - an experiment's dice, protecting nothing
        for mix in self._mixes:
            source = mix.source
            for path, part in self._projects:
                rate = (
                    mix.jobs_an_hour * part * _day_and_night(hour) * dice.gammavariate(_GAMMA_SHAPE, 1 / _GAMMA_SHAPE)
                )
                for _ in range(_poisson(rate, dice)):
                    number += 1
                    seconds = source.median_seconds * math.exp(dice.gauss(0, mix.sigma))
                    yield TraceRow(
                        job_id=f"{source.name}-{number}",
                        user=self._users[path][dice.randrange(_USERS)],
                        group=path,
                        submit_ms=round((hour + dice.random()) * _HOUR * 1000),
                        duration_ms=round(min(max(seconds, 1), _DURATION_SECONDS_MAX) * 1000),
                        gpus=dice.choices(mix.sizes, cum_weights=mix.weights_so_far)[0],
                        state="failed" if dice.random() < source.failed else "completed",
                    )


@dataclass(frozen=True, slots=True)
class _Mix:
    """What a source's jobs on a cluster look like: sizes with weights added up, and how many come in an hour."""

    source: Source
    sigma: float
    sizes: list[int]
    weights_so_far: list[float]
    jobs_an_hour: float

    @staticmethod
    def of(source: Source, devices: int, load: float) -> _Mix:
        """The jobs of a source that keep their part of so many devices busy, as far as the offered load says."""
        sizes, weights = sizes_of(source, max(8, devices // 16))
        sigma = math.sqrt(2 * math.log(source.mean_seconds / source.median_seconds))
        mean_gpu_seconds = source.mean_seconds * sum(map(lambda size, weight: size * weight, sizes, weights))
        jobs_an_hour = devices * _HOUR * load * source.part / mean_gpu_seconds
        return _Mix(source, sigma, sizes, list(accumulate(weights)), jobs_an_hour)


def sizes_of(source: Source, gpus_max: int) -> tuple[list[int], list[float]]:
    """Powers of two from a source's smallest to its largest job (or ``gpus_max``), with weights that sum to 1.

    The weights fall geometrically; the ratio is found by bisection so that the mean is the source's, as far as it can be.
    """
    largest = max(source.gpus_min, min(source.gpus_max, gpus_max))
    sizes = [1 << k for k in range((source.gpus_min - 1).bit_length(), largest.bit_length())]
    low, high = 1e-6, 2.0
    for _ in range(60):
        ratio = (low + high) / 2
        weights = [ratio**k for k in range(len(sizes))]
        mean = sum(size * weight for size, weight in zip(sizes, weights, strict=True)) / sum(weights)
        low, high = (ratio, high) if mean < source.mean_gpus else (low, ratio)
    total = sum(weights)
    return sizes, [weight / total for weight in weights]


def _day_and_night(hour: int) -> float:
    """Relative rate of submissions: 1.6 in the afternoon, 0.4 at night; half of it on Saturday and Sunday."""
    rate = 1.0 + 0.6 * math.cos((hour % 24 - 15) * math.pi / 12)
    return rate * (0.5 if hour // 24 % 7 >= 5 else 1.2)


def _poisson(mean: float, dice: Random) -> int:
    """Knuth's method for small means, the normal limit for large ones."""
    if mean > 50:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    limit, product, count = math.exp(-mean), dice.random(), 0
    while product > limit:
        product *= dice.random()
        count += 1
    return count
