"""Lenders' commands: offer nodes of a site, see how offers stand, close them."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from scheduler.cli.address import path_of
from scheduler.cli.options import Output, Why, command, strip_none
from scheduler.cli.output import Column, OutputFormat, field, show_duration, time_field

_NOUN = ("offer", "제공")


def _notice(row: Mapping[str, Any]) -> str:
    return "none" if row["notice_seconds"] is None else show_duration(row["notice_seconds"])


def _hold(row: Mapping[str, Any]) -> str:
    return show_duration(row["minimum_hold_seconds"])


def _hours(row: Mapping[str, Any]) -> str:
    calendar = row["calendar"]
    windows = [f"{','.join(each['days'])} {each['from']}-{each['to']}" for each in calendar["windows"]]
    return f"{'; '.join(windows)} ({calendar['time_zone']})" if windows else "always"


_COLUMNS = (
    Column(heading="ID", value=field("id")),
    Column(heading="SITE", value=field("site")),
    Column(heading="CLASS", value=field("gpu_class")),
    Column(heading="NODES", value=field("nodes")),
    Column(heading="STATE", value=field("state")),
    Column(heading="OPEN", value=field("open")),
    Column(heading="CHANGES", value=time_field("changes_at")),
    Column(heading="NOTICE", value=_notice),
    Column(heading="HOLD", value=_hold, wide=True),
    Column(heading="RATE", value=field("rate"), wide=True),
    Column(heading="PRIORITY", value=field("priority_floor"), wide=True),
    Column(heading="DATA", value=field("data_classes"), wide=True),
    Column(heading="GROUP", value=field("group"), wide=True),
    Column(heading="CLOSES", value=time_field("closes_at"), wide=True),
    Column(heading="BY", value=field("created_by"), wide=True),
    Column(heading="SECTORS", value=field("sectors")),
    Column(heading="HOURS", value=_hours),
)

offer_app = typer.Typer(help="Offers: what a site lends, when, to whom and on which terms.", no_args_is_help=True)


def _write_offers(rows: Any, output: OutputFormat) -> None:
    from scheduler.cli.output import write_rows

    write_rows(rows, _COLUMNS, output, "id")


@offer_app.command("create")
@command
def offer_create(
    file: Annotated[
        Path | None, typer.Argument(help="An offer (YAML or JSON); what options say counts instead.")
    ] = None,
    site: Annotated[str | None, typer.Option(help="Site whose nodes are lent.")] = None,
    gpu_class: Annotated[str | None, typer.Option(help="GPU class, e.g. h100.")] = None,
    nodes: Annotated[int | None, typer.Option(min=1, help="How many nodes.")] = None,
    notice: Annotated[str | None, typer.Option(help="From a recall to its deadline, like 4h; none: no recall.")] = None,
    minimum_hold: Annotated[
        str | None, typer.Option(help="How long a run keeps its nodes at the least, like 30m.")
    ] = None,
    days: Annotated[str | None, typer.Option(help="Days on which it is open, like mon-fri or sat.")] = None,
    opens: Annotated[str | None, typer.Option("--from", help="When it opens on these days, like 19:00.")] = None,
    closes: Annotated[
        str | None, typer.Option("--to", help="When it closes, like 08:00; not after --from: on the next day.")
    ] = None,
    time_zone: Annotated[str, typer.Option(help="Whose clocks these are.")] = "Asia/Seoul",
    blackout: Annotated[
        list[str] | None, typer.Option(help="A day on which nothing is lent, like 2026-12-24; may be repeated.")
    ] = None,
    valid_from: Annotated[str | None, typer.Option(help="First day.")] = None,
    valid_until: Annotated[str | None, typer.Option(help="Last day.")] = None,
    sector: Annotated[
        list[str] | None,
        typer.Option(help="Who is served: public, startup, research, national, partner; may be repeated."),
    ] = None,
    data_class: Annotated[list[str] | None, typer.Option(help="C, S or O; may be repeated.")] = None,
    rate: Annotated[str | None, typer.Option(help="Credits owed for a GPU-hour, like 1.25; else the table's.")] = None,
    priority_floor: Annotated[str | None, typer.Option(help="The least priority class that is served.")] = None,
    group: Annotated[str | None, typer.Option(help="The lender's own group.")] = None,
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Lend nodes of a site. From its first offer on a site lends only inside offers."""
    from scheduler.cli.client import Client

    given = {
        "site": site,
        "gpu_class": gpu_class,
        "nodes": nodes,
        "notice": notice,
        "minimum_hold": minimum_hold,
        "sectors": sector or None,
        "data_classes": data_class or None,
        "rate": rate,
        "priority_floor": priority_floor,
        "group": group,
        "calendar": _calendar(days, opens, closes, time_zone, blackout or [], valid_from, valid_until),
    }
    written = {} if file is None else read_offer(file)
    _write_offers([Client.from_profile().post("offers", {**written, **strip_none(given), "why": why})], output)


def _calendar(
    days: str | None,
    opens: str | None,
    closes: str | None,
    time_zone: str,
    blackouts: list[str],
    valid_from: str | None,
    valid_until: str | None,
) -> dict[str, Any] | None:
    """The calendar that options give; None where they give none."""
    window = strip_none({"days": days, "from": opens, "to": closes})
    if not (window or blackouts or valid_from or valid_until):
        return None
    return strip_none(
        {
            "time_zone": time_zone,
            "windows": [window] if window else None,
            "blackouts": blackouts or None,
            "valid_from": valid_from,
            "valid_until": valid_until,
        }
    )


def read_offer(path: Path) -> dict[str, Any]:
    """The offer of a file. Dates may stand without quotes; what else it says is judged by the server."""
    from scheduler.cli.document_file import read_document, refuse_what_cannot_be_sent
    from scheduler.cli.failure import usage_failure

    document = read_document(path, _NOUN)
    if not isinstance(document, dict):
        raise usage_failure(
            f"{path} has to hold an offer: site: company-1, gpu_class: h100, nodes: 8, notice: 4h",
            f"{path}에는 제공이 있어야 합니다: site: company-1, gpu_class: h100, nodes: 8, notice: 4h",
        )
    calendar = document.get("calendar")
    if isinstance(calendar, dict):
        document = {**document, "calendar": {name: _dates_as_text(value) for name, value in calendar.items()}}
    refuse_what_cannot_be_sent(path, document, _NOUN)
    return document


def _dates_as_text(value: Any) -> Any:
    """YAML reads dates as such; the server reads text. They stand no deeper than in a list of ranges."""
    if isinstance(value, date):  # a datetime is one, too
        return value.isoformat(timespec="minutes") if isinstance(value, datetime) else value.isoformat()
    if isinstance(value, list):
        return [_days_as_text(each) for each in value]
    return value


def _days_as_text(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: each.isoformat() if isinstance(each, date) else each for name, each in value.items()}
    return value.isoformat() if isinstance(value, date) else value


@offer_app.command("list")
@command
def offer_list(
    site: Annotated[str | None, typer.Option(help="Of this site only.")] = None, output: Output = OutputFormat.TABLE
) -> None:
    """Offers of the sites that I operate, and how their windows stand."""
    from scheduler.cli.client import Client

    _write_offers(Client.from_profile().pages("offers", site=site), output)


@offer_app.command("close")
@command
def offer_close(
    offer: Annotated[int, typer.Argument(min=1, help="Number of the offer.")],
    why: Why = "",
    output: Output = OutputFormat.TABLE,
) -> None:
    """Lend no more by an offer, once its notice and minimum hold are over."""
    from scheduler.cli.client import Client
    from scheduler.cli.language import say
    from scheduler.cli.output import show_time, write_note

    closed = Client.from_profile().post(path_of("offers", offer, "close"), {"why": why})
    _write_offers([closed], output)
    if closed["state"] == "closing":
        until = show_time(closed["closes_at"])
        write_note(say(f"It lends until {until}: its notice is kept.", f"통보 기간을 지켜 {until}까지 빌려줍니다."))
