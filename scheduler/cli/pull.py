"""The command that fetches what a job has left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from scheduler.cli.address import path_of
from scheduler.cli.jobs import JobId
from scheduler.cli.left_out import korean_left_out, left_out_of
from scheduler.cli.options import Output, command
from scheduler.cli.output import OutputFormat


@command
def pull(
    job: JobId,
    directory: Annotated[Path, typer.Option("--directory", "-d", help="Where to put the outputs.")] = Path(),
    output: Output = OutputFormat.TABLE,
) -> None:
    """Fetch a job's collected outputs."""
    import hashlib
    import io
    import sys
    import tarfile
    import zlib

    from scheduler.cli.client import Client
    from scheduler.cli.failure import EXIT_CONFLICT, CommandFailure
    from scheduler.cli.language import say
    from scheduler.cli.output import write_document, write_note

    client = Client.from_profile()
    answer = client.download(path_of("jobs", job, "outputs"))
    digest = answer.headers.get("ETag", "").strip('"')
    if digest.startswith("sha256:") and digest != f"sha256:{hashlib.sha256(answer.content).hexdigest()}":
        raise CommandFailure(
            EXIT_CONFLICT, say("The outputs arrived damaged: pull again.", "결과물이 손상되었습니다. 다시 받으십시오.")
        )
    directory.mkdir(parents=True, exist_ok=True)
    try:
        with tarfile.open(fileobj=io.BytesIO(answer.content), mode="r:gz") as archive:
            archive.extractall(directory, filter="data")
            files = [str(directory / member.name) for member in archive.getmembers()]
    except (tarfile.TarError, EOFError, zlib.error) as unusable:
        raise CommandFailure(
            EXIT_CONFLICT,
            say(f"The outputs cannot be unpacked: {unusable}", f"결과물을 풀 수 없습니다: {unusable}"),
        ) from unusable
    left_out = left_out_of(client.get(path_of("jobs", job)))
    if left_out:
        write_note(say(f"Not everything came: {left_out}", f"모두 오지는 않았습니다: {korean_left_out(left_out)}"))
    if write_document({"job": job, "files": files, "left_out": left_out}, output):
        return
    for file in files:
        sys.stdout.write(file + "\n") if output is OutputFormat.NAME else write_note(file)
