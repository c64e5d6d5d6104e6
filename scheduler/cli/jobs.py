"""Researchers' commands: submit, queue, show, why, logs, cancel, hold, release, requeue."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.options import Output, Why, command, parse_assignments, strip_none, words_after_dashes
from scheduler.cli.output import OutputFormat

JobId = Annotated[int, typer.Argument(help="The job's number.", min=1)]


@command
def submit(
    context: typer.Context,
    file: Annotated[Path | None, typer.Argument(help="A job file (YAML). Without it: options and -- COMMAND.")] = None,
    group: Annotated[
        str | None, typer.Option("--group", "-g", help="Group to charge, e.g. research.kaist.vision.")
    ] = None,
    name: Annotated[str | None, typer.Option("--name", "-n", help="Name of the job.")] = None,
    gpus: Annotated[
        int | None, typer.Option("--gpus", min=1, help="GPUs in all, split among the workers (the fewest).")
    ] = None,
    workers: Annotated[
        str | None, typer.Option("--workers", help="Workers of the gang: 4, or 2:8 for an elastic one.")
    ] = None,
    gpu_class: Annotated[list[str] | None, typer.Option("--gpu-class", help="CLASS or CLASS=SPEED, in order.")] = None,
    cpus: Annotated[int | None, typer.Option("--cpus", min=1, help="CPUs a worker.")] = None,
    memory: Annotated[str | None, typer.Option("--memory", help="Memory a worker, e.g. 64GiB.")] = None,
    walltime: Annotated[str | None, typer.Option("--walltime", help="e.g. 1h30m; the job is ended then.")] = None,
    priority: Annotated[str | None, typer.Option("--priority", help="low, normal or high.")] = None,
    data_class: Annotated[str | None, typer.Option("--data-class", help="C, S or O.")] = None,
    directory: Annotated[Path | None, typer.Option("--directory", "-d", help="Working directory to send.")] = None,
    env: Annotated[list[str] | None, typer.Option("--env", help="NAME=VALUE for the job.")] = None,
    output_pattern: Annotated[list[str] | None, typer.Option("--collect", help="Output files to collect.")] = None,
    output_limit: Annotated[
        str | None, typer.Option("--output-limit", help="How large the collected files may be together, as 512MiB.")
    ] = None,
    retries: Annotated[int | None, typer.Option("--retries", min=0, help="Tries after a failure.")] = None,
    deadline: Annotated[
        str | None, typer.Option("--deadline", help="Cancelled once it cannot be over by then: 12h, 2026-12-24T18:00.")
    ] = None,
    after: Annotated[
        list[int] | None, typer.Option("--after", min=1, help="Not before this job or array has started; repeatable.")
    ] = None,
    after_ok: Annotated[
        list[int] | None, typer.Option("--after-ok", min=1, help="Only once this job or array succeeded; repeatable.")
    ] = None,
    array: Annotated[
        str | None, typer.Option("--array", help="A job for each index: 0-99, or 0-99%10 for 10 at once.")
    ] = None,
    not_preemptible: Annotated[bool, typer.Option("--not-preemptible", help="Only inside the guarantee.")] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Say whether, where and at what cost; submit nothing.")
    ] = False,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Show states and log until it ends.")] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Submit a job: `dure submit job.yaml`, or `dure submit --group G --gpus 8 -- python train.py`."""
    from scheduler.cli.client import Client
    from scheduler.cli.failure import usage_failure
    from scheduler.cli.job_file import default_name, read_job_file, with_directory
    from scheduler.cli.language import say
    from scheduler.cli.options import gpu_class_fields
    from scheduler.cli.output import write_note

    words, base = words_after_dashes(context), Path.cwd()
    if file is None and not words:
        raise usage_failure(
            "Name a job file, or put the command after --: dure submit --group G --gpus 1 -- python train.py",
            "작업 파일을 쓰거나 -- 뒤에 명령을 쓰십시오: dure submit --group G --gpus 1 -- python train.py",
        )
    document: dict[str, Any] = {}
    if file is not None:
        document, base = read_job_file(file), file.resolve().parent
    if words:
        document["command"] = words
    document |= strip_none(
        {
            "name": name,
            "group": group,
            **gpu_class_fields(gpu_class),
            "cpus_per_worker": cpus,
            "memory_per_worker": memory,
            "walltime": walltime,
            "priority_class": priority,
            "data_class": data_class,
            "working_directory": str(directory.absolute()) if directory else None,
            "environment": parse_assignments(env, "--env") if env else None,
            "outputs": output_pattern or None,
            "outputs_limit": output_limit,
            "retries": retries,
            "deadline": deadline,
            "after": after or None,
            "after_ok": after_ok or None,
            "array": array,
            "preemptible": False if not_preemptible else None,
        }
    )
    document |= _gang(document, gpus, workers)
    if isinstance(document.get("command"), list) and document["command"]:
        document.setdefault("name", default_name([str(word) for word in document["command"]]))
    if follow and document.get("array") is not None:
        raise usage_failure(
            "--follow follows one job: leave it out for an array, and watch it with `dure queue --array ID`.",
            "--follow는 작업 하나를 따라갑니다. 배열에는 빼고 `dure queue --array 번호`로 보십시오.",
        )
    client = Client.from_profile()
    document = with_directory(document, base, client, upload=not dry_run)
    if document.get("image"):
        write_note(
            say(
                "image: only sites that run containers use it. Ray and local sites run the command as it stands.",
                "image: 컨테이너를 쓰는 사이트에서만 쓰입니다. Ray와 local 사이트는 명령을 그대로 실행합니다.",
            )
        )
    if dry_run:
        _show_dry_run(client.post("jobs/dry-run", document), output)
        return
    _show_submitted(client, client.post("jobs", document), output, follow)


def _gang(document: dict[str, Any], gpus: int | None, workers: str | None) -> dict[str, Any]:
    from scheduler.cli.failure import usage_failure

    asked = document.get("workers", 1) if workers is None else _read_workers(workers)
    if gpus is None:
        return {} if workers is None else {"workers": asked}
    count = asked.get("min") if isinstance(asked, dict) else asked
    if not isinstance(count, int) or count < 1 or gpus % count:
        raise usage_failure(
            f"--gpus {gpus} cannot be split evenly among {count} workers: choose a multiple of their number.",
            f"--gpus {gpus}을(를) 작업자 {count}개로 똑같이 나눌 수 없습니다. 작업자 수의 배수를 쓰십시오.",
        )
    return {"workers": asked, "gpus_per_worker": gpus // count}


def _read_workers(text: str) -> int | dict[str, int]:
    from scheduler.cli.failure import usage_failure

    least, colon, most = text.partition(":")
    if not (least.isdecimal() and int(least) > 0 and (not colon or (most.isdecimal() and int(most) >= int(least)))):
        raise usage_failure(
            f"--workers {text}: write a number like 4, or 2:8 for at least 2 and at most 8.",
            f"--workers {text}: 4처럼 수를 쓰거나, 2개 이상 8개 이하면 2:8처럼 쓰십시오.",
        )
    return {"min": int(least), "max": int(most)} if colon else int(least)


def _show_submitted(client: Any, job: dict[str, Any], output: OutputFormat, follow: bool) -> None:
    from scheduler.cli.follow import fail_unless_succeeded, follow_job
    from scheduler.cli.output import console, write_document

    if not write_document(job, output):
        console().print(
            str(job["id"]) if output is OutputFormat.NAME else _submitted(job),
            markup=False,
        )
    if follow:
        # What a program reads from standard output is the document alone; the log stands beside it.
        aside = output in (OutputFormat.JSON, OutputFormat.YAML, OutputFormat.NAME)
        fail_unless_succeeded(follow_job(client, job["id"], aside=aside))


def _submitted(job: dict[str, Any]) -> str:
    from scheduler.cli.language import say

    array = job.get("array")
    if array is None:
        return say(
            f"Submitted job {job['id']} to {job['group']}.",
            f"작업 {job['id']}을(를) {job['group']}에 제출했습니다.",
        )
    return say(
        f"Submitted array {array['id']} to {job['group']}: {array['tasks']} jobs, "
        f"{array['first_job']} to {array['last_job']}.",
        f"배열 {array['id']}을(를) {job['group']}에 제출했습니다: 작업 {array['tasks']}개, "
        f"{array['first_job']}~{array['last_job']}.",
    )


def _show_dry_run(answer: dict[str, Any], output: OutputFormat) -> None:
    from scheduler.cli.job_view import write_changes
    from scheduler.cli.language import say, text_of
    from scheduler.cli.output import console, write_document

    if write_document(answer, output):
        return
    out = console()
    if output is OutputFormat.NAME:
        out.print(answer["site"] if answer["would_start"] else "-", markup=False)
        return
    if answer["would_start"]:
        nodes = ", ".join(f"{node['name']} x{node['workers']}" for node in answer["nodes"])
        out.print(
            say(
                f"It would start now on {answer['site']} ({answer['gpu_class']}): {nodes}.",
                f"지금 바로 {answer['site']}({answer['gpu_class']})에서 시작합니다: {nodes}.",
            ),
            markup=False,
        )
    else:
        out.print(say("It would wait:", "기다리게 됩니다:"))
        for reason in answer["reasons"]:
            out.print(f"  {text_of(reason)}", markup=False)
        write_changes(answer)
    cost = answer["cost"]
    most = cost.get("credits_max")
    out.print(
        say(f"Cost: {cost['credits_per_hour']} credits an hour", f"비용: 시간당 {cost['credits_per_hour']} 크레딧")
        + (say(f", at most {most}.", f", 최대 {most}.") if most is not None else "."),
        markup=False,
    )


@command
def queue(
    everybody: Annotated[bool, typer.Option("--all", "-a", help="All jobs you may see, not only your own.")] = False,
    group: Annotated[str | None, typer.Option("--group", "-g", help="Jobs of this group and below.")] = None,
    array: Annotated[int | None, typer.Option("--array", min=1, help="Jobs of this array.")] = None,
    state: Annotated[list[str] | None, typer.Option("--state", "-s", help="Only these states.")] = None,
    ended: Annotated[bool, typer.Option("--ended", "-e", help="Ended jobs too.")] = False,
    eta: Annotated[bool, typer.Option("--eta", help="When waiting jobs would start, by walltimes.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, help="At most so many.")] = 100,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Jobs that wait and run: mine by default."""
    from scheduler.cli.client import Client
    from scheduler.cli.job_view import ETA_COLUMNS, JOB_COLUMNS
    from scheduler.cli.output import write_rows

    states = state or (None if ended else ["live"])
    rows = Client.from_profile().pages(
        "jobs",
        limit,
        mine=str(not (everybody or group or array)).lower(),
        group=group,
        array=array,
        state=states,
        eta="true" if eta else None,
    )
    write_rows(rows, ETA_COLUMNS if eta else JOB_COLUMNS, output, "id")


@command
def show(job: JobId, output: Output = OutputFormat.TABLE) -> None:
    """One job in full, with its runs."""
    from scheduler.cli.client import Client
    from scheduler.cli.job_view import write_job

    write_job(Client.from_profile().get(path_of("jobs", job), eta="true"), output)


@command
def why(job: JobId, output: Output = OutputFormat.TABLE) -> None:
    """Why a job waits, with numbers, for every site considered, and what would start it."""
    from scheduler.cli.client import Client
    from scheduler.cli.job_view import write_why

    write_why(Client.from_profile().get(path_of("jobs", job, "why")), output)


@command
def logs(
    job: JobId,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on until the job ends.")] = False,
    rank: Annotated[int, typer.Option("--rank", "-r", min=0, help="Worker of the gang.")] = 0,
    run: Annotated[int | None, typer.Option("--run", min=1, help="An earlier run of the job.")] = None,
    output: Output = OutputFormat.TABLE,
) -> None:
    """A job's log: worker 0 by default."""
    import sys

    from scheduler.cli.client import Client
    from scheduler.cli.failure import usage_failure
    from scheduler.cli.follow import fail_unless_succeeded, follow_job
    from scheduler.cli.output import write_document

    if follow and run is not None:
        raise usage_failure(
            "--follow goes on with the newest run: leave out --run, or --follow to read an earlier one.",
            "--follow는 가장 새 실행을 따라갑니다. --run을 빼거나, 앞선 실행을 보려면 --follow를 빼십시오.",
        )
    client = Client.from_profile()
    if rank:
        workers = client.get(path_of("jobs", job))["workers_max"]
        if rank >= workers:
            raise usage_failure(
                f"--rank {rank}: job {job} has workers 0 to {workers - 1}.",
                f"--rank {rank}: 작업 {job}의 작업자는 0부터 {workers - 1}까지입니다.",
            )
    document = output in (OutputFormat.JSON, OutputFormat.YAML)
    if follow:
        # What a program reads from standard output is the document alone; the log stands beside it.
        ended = follow_job(client, job, rank=rank, states=False, aside=document)
        write_document(ended, output)
        fail_unless_succeeded(ended)
        return
    parts = _log_parts(client, job, rank, run)
    if document:
        write_document(
            {"job": job, "rank": rank, "run": run, "text": b"".join(parts).decode("utf-8", "replace")}, output
        )
        return
    for part in parts:
        sys.stdout.buffer.write(part)
    sys.stdout.buffer.flush()


def _log_parts(client: Any, job: int, rank: int, run: int | None) -> Iterator[bytes]:
    offset = 0
    while True:
        part = client.download(path_of("jobs", job, "log"), rank=rank, run=run, offset=offset)
        yield part.content
        told = part.headers.get("Dure-Log-Next", "")
        following = int(told) if told.isascii() and told.isdecimal() else offset
        if following <= offset:
            return
        offset = following


def _act(action: str, jobs: list[int], why: str, output: OutputFormat, **more: Any) -> None:
    from scheduler.cli.client import Client
    from scheduler.cli.failure import CommandFailure
    from scheduler.cli.job_view import JOB_COLUMNS
    from scheduler.cli.output import write_note, write_rows

    client, failed = Client.from_profile(), None
    done: list[dict[str, Any]] = []
    for job in jobs:
        try:
            done += _act_on(client, job, action, {"why": why, **more})
        except CommandFailure as failure:
            failed = failure
            for line in failure.lines:
                write_note(f"{job}: {line}")
    if done:
        write_rows(done, JOB_COLUMNS, output, "id")
    if failed is not None:
        raise CommandFailure(failed.exit_code)


def _act_on(client: Any, job: int, action: str, body: dict[str, Any]) -> list[dict[str, Any]]:
    """Do it with a job, or with all jobs of an array where the number is one's; answer how they stand then."""
    from scheduler.cli.failure import CommandFailure
    from scheduler.cli.language import say
    from scheduler.cli.output import write_note

    try:
        return [client.post(path_of("jobs", job, action), body)]
    except CommandFailure as failure:
        if failure.code != "JobIsArray":
            raise
    told = client.post(path_of("arrays", job, action), body)
    write_note(
        say(
            f"Array {job}: {told['changed']} of {told['tasks']} jobs changed.",
            f"배열 {job}: 작업 {told['tasks']}개 가운데 {told['changed']}개가 바뀌었습니다.",
        )
    )
    return list(client.pages("jobs", array=job))


Jobs = Annotated[list[int], typer.Argument(help="Numbers of jobs or arrays.")]


@command
def cancel(jobs: Jobs, why: Why = "", output: Output = OutputFormat.TABLE) -> None:
    """End jobs for good."""
    _act("cancel", jobs, why, output)


@command
def hold(jobs: Jobs, why: Why = "", output: Output = OutputFormat.TABLE) -> None:
    """Keep queued jobs out of the rounds."""
    _act("hold", jobs, why, output)


@command
def release(jobs: Jobs, why: Why = "", output: Output = OutputFormat.TABLE) -> None:
    """Let held jobs go."""
    _act("release", jobs, why, output)


@command
def requeue(
    jobs: Jobs,
    why: Why = "",
    start_over: Annotated[
        bool, typer.Option("--start-over", help="It may begin again elsewhere, without its checkpoint.")
    ] = False,
    output: Output = OutputFormat.TABLE,
) -> None:
    """Send running jobs back to the queue, by their checkpoint where they have one."""
    _act("requeue", jobs, why, output, start_over=start_over)
