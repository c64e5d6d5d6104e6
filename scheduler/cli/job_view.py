"""How jobs, and the reasons why they wait, are shown."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from scheduler.cli.language import say, text_of
from scheduler.cli.output import (
    Column,
    OutputFormat,
    console,
    field,
    now_iso,
    show_duration,
    show_reason,
    show_time,
    show_zoned_time,
    time_field,
    write_document,
    write_fields,
    write_table,
)


def elapsed(job: Mapping[str, Any]) -> str:
    """Time since the newest run started, up to its end."""
    if job.get("elapsed_seconds") is not None:
        return show_duration(job["elapsed_seconds"])
    if not job.get("started_at"):
        return "-"
    start = datetime.fromisoformat(job["started_at"].replace("Z", "+00:00"))
    end = datetime.fromisoformat((job.get("ended_at") or now_iso()).replace("Z", "+00:00"))
    return show_duration((end - start).total_seconds())


def _gpus(job: Mapping[str, Any]) -> str:
    return f"{job['gpu_class']}x{job['gpus']}" if job.get("gpu_class") else str(job["gpus"])


def _elastic_note(job: Mapping[str, Any]) -> str:
    workers = (job.get("spec") or {}).get("workers")
    if not isinstance(workers, dict):
        return ""
    return say(f", {workers['min']} to {workers['max']} workers", f", 작업자 {workers['min']}~{workers['max']}개")


def task_of(job: Mapping[str, Any]) -> str | None:
    """Which task of which array a job is, as Slurm writes it; None for one that belongs to none."""
    array = job.get("array")
    return f"{array['id']}_{array['task']}" if array else None


def _number(job: Mapping[str, Any]) -> str:
    task = task_of(job)
    return str(job["id"]) if task is None else f"{job['id']}({task})"


def _array_line(job: Mapping[str, Any]) -> str:
    array = job["array"]
    line = say(f"{task_of(job)}, of {array['tasks']} jobs", f"{task_of(job)}, 작업 {array['tasks']}개 가운데 하나")
    most = array.get("running_max")
    return line if most is None else line + say(f", {most} at once", f", 한 번에 {most}개")


def _earlier_jobs(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """What a job was submitted to come after."""
    spec = job.get("spec") or {}
    names = (("after", say("After start of", "시작을 기다림")), ("after_ok", say("After success of", "성공을 기다림")))
    return [(label, ", ".join(map(str, spec[name]))) for name, label in names if spec.get(name)]


JOB_COLUMNS: Sequence[Column] = (
    Column(heading="ID", value=_number),
    Column(heading="NAME", value=field("name")),
    Column(heading="GROUP", value=field("group")),
    Column(heading="PERSON", value=field("person"), wide=True),
    Column(heading="STATE", value=field("state")),
    Column(heading="GPUS", value=_gpus),
    Column(heading="WORKERS", value=field("workers"), wide=True),
    Column(heading="PRIORITY", value=field("priority_class"), wide=True),
    Column(heading="DATA", value=field("data_class"), wide=True),
    Column(heading="EPOCH", value=field("epoch"), wide=True),
    Column(heading="SITE", value=field("site")),
    Column(heading="SUBMITTED", value=time_field("submitted_at")),
    Column(heading="ELAPSED", value=elapsed),
    Column(heading="REASON", value=lambda job: show_reason(job.get("reason"))),
)


def _eta_cell(job: Mapping[str, Any]) -> str:
    eta = job.get("eta")
    if not eta:
        return "-"
    mark = "!" if eta.get("late") else ""
    return f"~{show_zoned_time(eta['start_at'])}{mark}" if eta.get("start_at") else say("unknown", "알 수 없음")


def eta_line(eta: Mapping[str, Any] | None) -> str:
    """When a job would start, and on what grounds; ``-`` where it does not wait."""
    if not eta:
        return "-"
    start = eta.get("start_at")
    told = " ".join(text_of(each) for each in (eta["reason"], eta.get("late")) if each)
    return f"~{show_zoned_time(start)}. {told}" if start else told


#: With estimates, and what each is based on in the place of the reason for waiting.
ETA_COLUMNS: Sequence[Column] = (
    *JOB_COLUMNS[:-1],
    Column(heading="ETA", value=_eta_cell),
    Column(
        heading="REASON",
        value=lambda job: show_reason(
            (job["eta"].get("late") or job["eta"]["reason"]) if job.get("eta") else job.get("reason")
        ),
    ),
)


def _run_time_line(run_time: Mapping[str, Any]) -> str:
    seconds = run_time.get("seconds")
    told = say("unknown", "알 수 없음") if seconds is None else f"~{show_duration(seconds)}"
    return f"{told} ({text_of(run_time)})"


def _run_time_lines(job: Mapping[str, Any]) -> list[tuple[str, str]]:
    """How long it runs, and on each class that it may start on, each with its label."""
    lines = [(say("Run time", "실행 시간 예상"), job["run_time"])] if job.get("run_time") else []
    for each in job.get("run_times") or ():
        gpu_class = each["gpu_class"]
        lines.append((say(f"Run time on {gpu_class}", f"{gpu_class}에서의 실행 시간 예상"), each))
    return [(label, _run_time_line(each)) for label, each in lines]


def write_job(job: Mapping[str, Any], output: OutputFormat) -> None:
    """One job in full, its runs below."""
    pairs = [
        (say("Job", "작업"), f"{job['id']} {job['name']}"),
        (say("Group", "그룹"), job["group"]),
        (say("Person", "제출자"), job["person"]),
        (say("State", "상태"), job["state"]),
        (say("Reason", "사유"), show_reason(job.get("reason"))),
        (say("Start", "시작 예상"), eta_line(job.get("eta"))),
        *_run_time_lines(job),
        *([(say("Array", "배열"), _array_line(job))] if job.get("array") else []),
        *_earlier_jobs(job),
        *([(say("Deadline", "기한"), _deadline_line(job))] if job.get("deadline") else []),
        *([(say("Retries", "재시도"), _retries_line(job))] if job.get("retries") else []),
        ("GPU", f"{_gpus(job)} ({job['workers']} x {job['gpus_per_worker']})" + _elastic_note(job)),
        (say("Site", "사이트"), job.get("site") or "-"),
        (say("Data class", "자료 등급"), job["data_class"]),
        (say("Submitted", "제출"), show_time(job["submitted_at"])),
        (say("Elapsed", "경과"), elapsed(job)),
        (say("GPU-seconds", "GPU-초"), str(job.get("gpu_seconds", 0))),
    ]
    write_fields(job, pairs, output, "id")
    if output in (OutputFormat.TABLE, OutputFormat.WIDE) and job.get("runs"):
        headings = (
            "RUN",
            "EPOCH",
            "SITE",
            "CLASS",
            "PHASE",
            "NODES",
            "STARTED",
            "ENDED",
            "EXIT",
            "CAUSE",
            "CATEGORY",
            "MESSAGE",
        )
        write_table(headings, [_run_cells(run) for run in job["runs"]])


def _deadline_line(job: Mapping[str, Any]) -> str:
    deadline, start_by = show_zoned_time(job["deadline"]), show_zoned_time(job["start_by"])
    return deadline + say(f"; it has to start by {start_by}", f", {start_by}까지 시작해야 합니다")


def _retries_line(job: Mapping[str, Any]) -> str:
    """What is left: runs of each category that have failed, of those that are followed by another."""
    return ", ".join(f"{each['category']} {each['failed']}/{each['retries']}" for each in job["retries"])


def _run_cells(run: Mapping[str, Any]) -> list[str]:
    nodes = run.get("nodes") or []
    shown = ",".join(nodes[:4]) + (f"+{len(nodes) - 4}" if len(nodes) > 4 else "")
    times = [show_time(run[name]) if run.get(name) else "-" for name in ("started_at", "ended_at")]
    exit_code = "-" if run.get("exit_code") is None else str(run["exit_code"])
    return [
        str(run["id"]),
        str(run["epoch"]),
        run["site"],
        run.get("gpu_class") or "-",
        run["phase"],
        shown or "-",
        *times,
        exit_code,
        run.get("cause") or "-",
        run.get("category") or "-",
        run.get("message") or "-",
    ]


def write_changes(answer: Mapping[str, Any], after: str = "") -> None:
    """What would start a job that waits, and with what else it would start."""
    out = console()
    told = [answer["counterfactual"]] if answer.get("counterfactual") else []
    for number, each in enumerate([*told, *(answer.get("alternatives") or ())]):
        out.print(f"  {say('Or: ', '또는: ') if number else after}{text_of(each)}", markup=False)


def write_why(answer: Mapping[str, Any], output: OutputFormat) -> None:
    """Why a job is where it is: the reason, what each site says, and what would change it."""
    if write_document(answer, output):
        return
    out = console()
    if output is OutputFormat.NAME:
        for reason in answer["reasons"]:
            out.print(reason["code"])
        return
    out.print(f"{say('Job', '작업')} {answer['job']}: {answer['state']}")
    for reason in answer["reasons"]:
        out.print(f"  {text_of(reason)}", markup=False)
    for site in answer.get("sites") or ():
        out.print(f"  {site['site']}: {text_of(site['reason'])}", markup=False)
    ahead = answer.get("ahead") or 0
    if ahead:
        jobs = "1 job is" if ahead == 1 else f"{ahead} jobs are"
        out.print("  " + say(f"{jobs} ahead of it.", f"앞에 작업 {ahead}개가 있습니다."))
    # What is said of a job behind others holds once they are served: it looks at this job alone.
    write_changes(answer, say("After what is ahead of it: ", "앞의 작업이 처리된 뒤: ") if ahead else "")
    if answer.get("eta"):
        out.print(f"  {say('Start', '시작 예상')}: {eta_line(answer['eta'])}", markup=False)
    for label, line in _run_time_lines(answer):
        out.print(f"  {label}: {line}", markup=False)
    if answer.get("evaluated_at"):
        out.print("  " + say("As of the round at ", "판단한 라운드: ") + show_time(answer["evaluated_at"]), style="dim")
