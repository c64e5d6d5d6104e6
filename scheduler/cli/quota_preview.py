"""A change of quotas, previewed against the live queue: read from a file, shown before and after."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.language import current_language, say
from scheduler.cli.options import Output, command
from scheduler.cli.output import Column, OutputFormat, field

_NOUN = ("list of quotas", "할당량 목록")
_BOUNDS = ("limit", "borrowing_limit", "lending_limit")
Row = Mapping[str, Any]


def _both(name: str) -> Callable[[Row], str]:
    """A column's value: one number where both sides have it, else ``before → after``; ``-`` for none."""

    def value(row: Row) -> str:
        return _arrow(row["before"][name], row["after"][name])

    return value


def _arrow(before: int | None, after: int | None) -> str:
    texts = ["-" if each is None else str(each) for each in (before, after)]
    return texts[0] if before == after else " → ".join(texts)


def _cells(row: Row) -> str:
    from scheduler.cli.cells import cells_text

    texts = [cells_text(row[side].get("cells", [])) for side in ("before", "after")]
    return texts[0] if texts[0] == texts[1] else " → ".join(texts)


def _cells_effective(row: Row) -> str:
    return _arrow(*(row[side].get("cells_effective") for side in ("before", "after")))


def _total(rows: Sequence[Row], name: str) -> str:
    before, after = (sum(row[side][name] for row in rows) for side in ("before", "after"))
    return _arrow(before, after)


def _group(row: Row) -> str:
    return say("(groups you do not see)", "(볼 수 없는 그룹)") if row["group"] is None else str(row["group"])


def _cause(row: Row) -> str:
    from scheduler.model.words import WordKind, word

    return word(WordKind.CAUSE, row["cause"], "ko" if current_language() == "ko" else "en")


_GROUPS = (
    Column(heading="GROUP", value=field("group")),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="GUARANTEED", value=_both("guaranteed")),
    Column(heading="EFFECTIVE", value=_both("guaranteed_effective")),
    Column(heading="LIMIT", value=_both("limit")),
    Column(heading="BORROWING", value=_both("borrowing_limit"), wide=True),
    Column(heading="LENDING", value=_both("lending_limit"), wide=True),
    Column(heading="WEIGHT", value=_both("weight"), wide=True),
    Column(heading="CELLS", value=_cells, wide=True),
    Column(heading="CELLS-EFFECTIVE", value=_cells_effective, wide=True),
    Column(heading="FAIR-SHARE", value=_both("fair_share")),
    Column(heading="USED", value=_both("used")),
    Column(heading="USED-NEXT", value=_both("used_next")),
)
_STARTS = (
    Column(heading="STARTS", value=_group),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="JOBS", value=_both("jobs")),
    Column(heading="GPUS", value=_both("gpus")),
)
_STOPS = (
    Column(heading="STOPS", value=_group),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="RUNS", value=_both("runs")),
    Column(heading="GPUS", value=_both("gpus")),
    Column(heading="CAUSE", value=_cause),
)


@command
def quota_preview(
    file: Annotated[Path, typer.Argument(help="A list of quotas (YAML or JSON).")],
    output: Output = OutputFormat.TABLE,
) -> None:
    """What a change of quotas would do to the live queue. Nothing is set; a field that is left out keeps what stands."""
    from scheduler.cli.client import Client
    from scheduler.cli.output import write_rows

    answer = Client.from_profile().post("quotas/preview", {"quotas": read_quotas(file)})
    write_rows(answer["groups"], _GROUPS, output, "group", document=answer)
    if output in (OutputFormat.TABLE, OutputFormat.WIDE):
        _write_next_round(answer, output)


def read_quotas(path: Path) -> list[Any]:
    """The quotas of a file. A bound of ``none`` is none; what else they say is judged by the server."""
    from scheduler.cli.document_file import read_document, refuse_what_cannot_be_sent
    from scheduler.cli.failure import usage_failure

    document = read_document(path, _NOUN)
    if not isinstance(document, list):
        raise usage_failure(
            f"{path} has to hold a list: - {{group: research.kaist, gpu_class: h100, guaranteed: 8}}",
            f"{path}에는 목록이 있어야 합니다: - {{group: research.kaist, gpu_class: h100, guaranteed: 8}}",
        )
    refuse_what_cannot_be_sent(path, {"quotas": document}, _NOUN)
    return [_as_sent(each) if isinstance(each, dict) else each for each in document]


def _as_sent(quota: Mapping[str, Any]) -> dict[str, Any]:
    """With bounds of ``none`` taken away, and cells read that are written as on the command line."""
    from scheduler.cli.cells import cells_of

    sent = {name: None if name in _BOUNDS and value == "none" else value for name, value in quota.items()}
    if isinstance(cells := sent.get("cells"), list) and all(isinstance(each, str) for each in cells):
        sent["cells"] = cells_of(cells)
    return sent


def _write_next_round(answer: Row, output: OutputFormat) -> None:
    import sys

    from scheduler.cli.output import write_note, write_rows

    starts, stops, above = answer["starts"], answer["stops"], answer["groups_above_limit"]
    for rows, columns in ((starts, _STARTS), (stops, _STOPS)):
        if rows:
            sys.stdout.write("\n")
            write_rows(rows, columns, output, "group")
    jobs, runs = _total(starts, "jobs"), _total(stops, "runs")
    gpus = [_total(rows, "gpus") for rows in (starts, stops)]
    over = _arrow(above["before"], above["after"])
    lines = (
        "",
        say(
            f"Jobs that start in the next round: {jobs} ({gpus[0]} GPUs)",
            f"다음 라운드 시작 작업: {jobs} (GPU {gpus[0]})",
        ),
        say(f"Runs that it stops: {runs} ({gpus[1]} GPUs)", f"다음 라운드 중단 실행: {runs} (GPU {gpus[1]})"),
        say(f"Groups above their limit: {over}", f"한도를 넘은 그룹: {over}"),
    )
    sys.stdout.writelines(f"{line}\n" for line in lines)
    write_note(say("Nothing was set.", "아무것도 바꾸지 않았습니다."))
