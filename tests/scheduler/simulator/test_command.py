"""``dure simulate`` and ``dure sweep`` from the outside, scenarios and reports."""

from __future__ import annotations

import csv
import json
import re
import statistics
from collections import Counter
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from scheduler.main import app
from scheduler.model.errors import ConfigurationError
from scheduler.simulator import workload
from scheduler.simulator.policy import Baseline
from scheduler.simulator.scenario import SOURCES, Scale, Source, build_scenario, sizes_of
from scheduler.simulator.simulation import Outcome, simulate
from scheduler.simulator.sweep import document_in, run_here, summary, tasks

TINY = ("--scenario", "korea", "--scale", "0.0005", "--days", "0.4", "--no-bound")


def run(*arguments: str) -> tuple[int, str]:
    """Exit code and what is printed."""
    done = CliRunner().invoke(app, list(arguments))
    return done.exit_code, done.output


@pytest.fixture
def files(tmp_path: Path) -> tuple[str, ...]:
    """A small trace and its cluster, as options."""
    trace, cluster = tmp_path / "t.csv", tmp_path / "c.json"
    lines = [f"j{number},g{number % 2},{number},{10 + number},{1 + number % 4}" for number in range(20)]
    trace.write_text("job_id,group,submit_s,duration_s,gpus\n" + "\n".join(lines) + "\n", encoding="utf-8")
    cluster.write_text(json.dumps({"nodes": [{"count": 2, "gpus_per_node": 4, "gpu_type": "x"}]}), encoding="utf-8")
    return ("--trace", str(trace), "--cluster", str(cluster), "--no-bound")


def test_a_simulation_writes_figures_decisions_and_a_page_that_needs_nothing_else(
    files: tuple[str, ...], tmp_path: Path
) -> None:
    paths = {name: tmp_path / f"out.{name}" for name in ("json", "csv", "html")}
    outputs = ("--json", str(paths["json"]), "--decisions", str(paths["csv"]), "--report", str(paths["html"]))
    code, output = run("simulate", *files, *outputs, "--compare", "fifo,easy,conservative,sjf")
    assert code == 0, output
    assert [line.split()[0] for line in output.splitlines()] == [
        "SCHEDULER", "dure", "fifo", "easy", "conservative", "sjf",
    ]  # fmt: skip
    figures = json.loads(paths["json"].read_text(encoding="utf-8"))
    assert (figures["jobs"], figures["completed"]) == (20, 20)
    assert set(figures["compared"]) == {"fifo", "easy", "conservative", "sjf"}
    with paths["csv"].open(encoding="utf-8", newline="") as lines:
        assert len(list(csv.DictReader(lines))) == 20
    page = paths["html"].read_text(encoding="utf-8")
    assert re.findall(r"(?:src|href)=|https?:|<script|@import|url\(", page) == []
    assert page.count("<svg") == page.count("</svg>") == 7


def test_a_policy_may_name_the_baselines_beside_it_and_the_distance_to_the_best_is_told(
    files: tuple[str, ...], tmp_path: Path
) -> None:
    path, page = tmp_path / "policy.yaml", tmp_path / "page.html"
    path.write_text("baselines: [fifo, sjf]\n", encoding="utf-8")
    code, output = run(*("--lang", "ko", "simulate", *files[:-1], "--policy", str(path), "--report", str(page)))
    assert code == 0, output
    lines = output.splitlines()
    assert [line.split()[0] for line in lines] == ["SCHEDULER", "dure", "fifo", "sjf", "dure:", "fifo:", "sjf:"]
    assert all("% 이내입니다" in line for line in lines[4:])
    assert page.read_text(encoding="utf-8").count("% of what any schedule could do") == 3


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--trace FILE and --cluster FILE"),
        (("--scenario", "mars"), "there is korea"),
        (("--trace", "no.csv", "--cluster", "no.json"), "no.csv cannot be read"),
    ],
)
def test_what_cannot_be_simulated_is_refused_with_the_mend(arguments: tuple[str, ...], told: str) -> None:
    code, output = run("simulate", *arguments)
    assert code == 2
    assert told in output


@pytest.mark.parametrize(
    ("policy", "told"),
    [
        ("colour: red", "colour: 모르는 항목입니다. 지우거나 이름을 고치십시오"),
        ("order: best", "order: 다음 중 하나여야 합니다: 'fifo', 'least_work'"),
        ("levels_per_doubling: 17", "levels_per_doubling: 16 이하여야 합니다"),
        ("minimum_run_seconds: soon", "minimum_run_seconds: 90s, 1h30m"),
        ("groups: 3", "groups: 목록이어야 합니다"),
        ("groups: [{path: a}, {path: a}]", "groups: 같은 경로가 두 번 있습니다"),
        ("failures: [{node: 0, at_seconds: 5, until_seconds: 5}]", "failures.0: until_seconds는 at_seconds보다 뒤여야"),
        ("failures: [{node: 9, at_seconds: 5, until_seconds: 6}]", "failures.0.node: 클러스터의 노드는 0부터 1까지"),
        ("recalls: [{site: mars, nodes: 1, at_seconds: 5, by_seconds: 6}]", "클러스터의 사이트는 cluster입니다"),
        ("recalls: [{site: cluster, nodes: 3, at_seconds: 5, by_seconds: 6}]", "사이트에 그런 노드는 2개입니다"),
        ("groups: [{path: g0, quota: {y: {guaranteed: 1}}}]", "groups.g0.quota.y: 클러스터의 GPU 종류는 x입니다"),
        ("groups: [{path: a.g0}, {path: b.g0}]", "작업 기록의 그룹 g0은(는) a.g0, b.g0 중 어느 것인지"),
        ("baselines: [best]", "baselines.0: 다음 중 하나여야 합니다: 'none', 'fifo'"),
        ("offers: [{site: cluster, nodes: 1, rate: much}]", "offers.0.rate: GPU 시간당 크레딧을 1.25나 5/4처럼"),
        ("a: [", "YAML이나 JSON으로 읽을 수 없습니다"),
    ],
)
def test_a_policy_that_cannot_be_used_is_refused_in_the_language_of_its_reader(
    files: tuple[str, ...], tmp_path: Path, policy: str, told: str
) -> None:
    path = tmp_path / "policy.yaml"
    path.write_text(policy, encoding="utf-8")
    code, output = run("--lang", "ko", "simulate", *files, "--policy", str(path))
    assert code == 2
    assert told in " ".join(output.split())
    code, output = run("--lang", "en", "simulate", *files, "--policy", str(path))
    assert code == 2
    assert not re.search("[가-힣]", output)


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        ((), "--trace FILE과 --cluster FILE을 쓰거나 --scenario NAME을 쓰십시오"),
        (("--scenario", "mars"), "--scenario: korea이(가) 있습니다"),
        (("--scenario", "korea", "--trace", "t.csv"), "--trace와 --cluster를 빼십시오"),
        (("--trace", "no.csv", "--cluster", "no.json"), "no.csv을(를) 읽을 수 없습니다"),
        (("--trace", "no.txt", "--cluster", "no.json"), "작업 기록은 .csv, .swf, .jsonl 파일"),
        ((*TINY, "--compare", "best"), "--compare: 다음 중에서 고르십시오: none, fifo"),
        ((*TINY, "--json", "/no/such/folder/a.json"), "/no/such/folder/a.json에 쓸 수 없습니다"),
    ],
)
def test_what_cannot_be_simulated_is_refused_in_korean_too(arguments: tuple[str, ...], told: str) -> None:
    code, output = run("--lang", "ko", "simulate", *arguments)
    assert code == 2
    assert told in " ".join(output.split())


def test_a_scenario_is_the_same_for_the_same_seed_and_runs(tmp_path: Path) -> None:
    for name in ("one", "two"):
        code, output = run("simulate", *TINY, "--seed", "3", "--decisions", str(tmp_path / name))
        assert code == 0, output
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    three, four = (list(build_scenario("korea", Scale(nodes=0.0005, days=0.4), seed).rows) for seed in (3, 4))
    assert [each.duration_ms for each in three] != [each.duration_ms for each in four]


def test_a_scenario_is_made_as_somebody_comes_to_it_and_its_hours_are_the_same_however_long_it_is() -> None:
    short, long = (build_scenario("korea", Scale(nodes=0.002, days=days), 3).rows for days in (0.5, 30_000))
    made = list(short)
    assert len(made) > 20
    assert list(islice(long, len(made))) == made == list(short)
    assert [each.submit_ms for each in made] == sorted(each.submit_ms for each in made)
    assert made[-1].submit_ms < short.over_ms == 43_200_000
    assert {each.group for each in made} <= set(short.groups)


@pytest.mark.parametrize(("baseline", "rows"), [(Baseline.NONE, 7), (Baseline.NONE, 4096), (Baseline.SJF, 7)])
def test_rows_that_are_read_as_they_come_make_the_same_history(
    baseline: Baseline, rows: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workload, "ROWS_A_STEP", rows)
    made = build_scenario("korea", Scale(nodes=0.0005, days=0.3), 3)
    policy = made.policy.model_copy(update={"baseline": baseline})
    read, unread = simulate(list(made.rows), made.cluster, policy), simulate(made.rows, made.cluster, policy)

    def starts(outcome: Outcome) -> list[tuple[str, int]]:
        return [(each.job.name, each.start_ms) for each in outcome.history.segments]

    assert starts(unread) == starts(read)
    assert len(unread.history.jobs) == len(read.history.jobs) > 10


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source.name)
def test_sizes_have_the_published_mean(source: Source) -> None:
    sizes, weights = sizes_of(source, 10**6)
    assert sum(weights) == pytest.approx(1)
    assert (sizes[0], sizes[-1]) == (source.gpus_min, source.gpus_max)
    mean = sum(size * weight for size, weight in zip(sizes, weights, strict=True))
    assert mean == pytest.approx(source.mean_gpus, rel=0.01)


def test_lenders_of_a_scenario_earn_standing_unless_the_policy_says_otherwise(tmp_path: Path) -> None:
    figures, page = tmp_path / "figures.json", tmp_path / "page.html"
    code, output = run("simulate", *TINY, "--json", str(figures), "--report", str(page))
    assert code == 0, output
    kept = json.loads(figures.read_text(encoding="utf-8"))["standing"]
    assert any(path.startswith("partner.company-") and each["lent_gpu_hours"] > 0 for path, each in kept.items())
    assert "<h2>Standing</h2>" in page.read_text(encoding="utf-8")
    policy = tmp_path / "policy.yaml"
    policy.write_text("standing: false\n", encoding="utf-8")
    code, output = run("simulate", *TINY, "--policy", str(policy), "--json", str(figures), "--report", str(page))
    assert code == 0, output
    assert json.loads(figures.read_text(encoding="utf-8"))["standing"] is None
    assert "<h2>Standing</h2>" not in page.read_text(encoding="utf-8")


def test_a_scenario_is_loaded_as_asked_bursty_and_has_windows_recalls_and_failures() -> None:
    made = build_scenario("korea", Scale(nodes=0.005, days=14, load=0.5), 1)
    assert made.cluster.devices == pytest.approx(260_000 * 0.005, rel=0.05)
    hours = Counter(each.submit_ms // 3_600_000 for each in made.rows)
    counts = [hours[hour] for hour in range(14 * 24)]
    assert statistics.variance(counts) > 5 * statistics.mean(counts)
    assert made.policy.offers and made.policy.recalls and made.policy.failures
    assert {each.group for each in made.rows} <= {group.path for group in made.policy.groups}


@pytest.mark.slow
def test_a_sweep_runs_every_policy_with_every_seed(files: tuple[str, ...], tmp_path: Path) -> None:
    policy = tmp_path / "sjf.yaml"
    policy.write_text("baseline: sjf\n", encoding="utf-8")
    todo = tasks([policy], range(2), [*files, "--jitter", "0.01"])
    documents = run_here(todo, 1)
    (row,) = summary(todo, documents)
    assert (row["policy"], row["seeds"]) == ("sjf.yaml", 2)
    assert row["mean_jct_s_min"] < row["mean_jct_s"] < row["mean_jct_s_max"]


def test_a_task_of_a_sweep_that_fails_is_told_with_its_own_words() -> None:
    with pytest.raises(ConfigurationError, match="cannot be read"):
        run_here(tasks([], [0], ["--trace", "no.csv", "--cluster", "no.json"]), 1)


def test_figures_are_found_behind_what_a_cluster_prints() -> None:
    assert document_in('Running entrypoint\n{\n "jobs": 3\n}\nbye\n') == {"jobs": 3}
    with pytest.raises(ConfigurationError, match="no figures"):
        document_in("nothing")
