"""A site as those see it who run it: what it lends, what is taken back or kept, what runs there, and what its owner is owed."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse

from scheduler.api.dependencies import RuntimeHere
from scheduler.api.problem import answered
from scheduler.api.schemas import Slug
from scheduler.model.calendar import Calendar
from scheduler.portal.frame import SignedIn, frame_of
from scheduler.portal.pages import BlockLine, OfferLine, OwedLine, SitePage, SiteRunLine, TakenLine
from scheduler.portal.render import language_of, moment, render, show_duration
from scheduler.service.offers import OfferView, list_offers
from scheduler.service.recalls import RecallView, list_recalls
from scheduler.service.reservations import ReservationView, list_reservations
from scheduler.service.site_nodes import list_nodes
from scheduler.service.sites import show_site, site_runs
from scheduler.service.usage import credit_text, show_owed

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

#: The page shows so many runs, the oldest first; the command line lists them all.
RUNS_SHOWN_MAX = 200
HOUR_MS = 3_600_000


@router.get("/sites/{name}")
def site_page(request: Request, name: Slug, who: SignedIn, runtime: RuntimeHere) -> Response:
    """One site; nobody else learns more than the list of sites tells."""
    caller, now_ms = who[0], runtime.clock.now_ms()
    offers = answered(list_offers(runtime, caller, name))
    recalls, reservations = (
        answered(list_recalls(runtime, caller, name)),
        answered(list_reservations(runtime, caller, name)),
    )
    found = answered(site_runs(runtime, caller, name, 0, RUNS_SHOWN_MAX + 1))
    site = answered(show_site(runtime, caller, name))
    nodes = answered(list_nodes(runtime, caller, name, aside=False)) if site.row.block_nodes else []
    page = SitePage(
        frame=frame_of(request, who),
        name=name,
        state=site.row.state if site.reachable else "unreachable",
        offers=[_offer_line(each) for each in offers],
        taken=[
            *(_recall_line(each) for each in recalls if each.row.withdrawn_ms is None),
            *(_reservation_line(each) for each in reservations),
        ],
        blocks=[
            BlockLine(
                gpu_class=gpu_class,
                nodes=count,
                spares=", ".join(each.row.name for each in nodes if each.spare and each.row.gpu_class == gpu_class),
            )
            for gpu_class, count in sorted((site.row.block_nodes or {}).items())
        ],
        runs=[
            SiteRunLine(
                group=each.group,
                gpus=f"{each.run.gpu_class} × {each.run.gpus}",
                nodes=", ".join(part[1] for part in each.run.gang),
                phase=each.run.phase,
                started=moment(each.run.started_ms),
                elapsed=show_duration(None if each.run.started_ms is None else max(0, now_ms - each.run.started_ms)),
            )
            for each in found[:RUNS_SHOWN_MAX]
        ],
        has_more_runs=len(found) > RUNS_SHOWN_MAX,
        owed=[
            OwedLine(
                gpu_class=each.gpu_class,
                gpu_hours=f"{each.gpu_milliseconds / HOUR_MS:,.1f}",
                credits="–" if each.credits is None else credit_text(each.credits),
                runs=each.runs,
            )
            for each in answered(show_owed(runtime, caller, name))
        ],
    )
    return render("site.html", page, language_of(request))


def _offer_line(view: OfferView) -> OfferLine:
    terms = view.terms
    return OfferLine(
        id=view.row.id,
        gpu_class=terms.gpu_class,
        nodes=terms.nodes,
        is_open=view.open,
        changes=moment(view.changes_ms),
        closes=moment(view.row.closes_ms),
        notice=show_duration(None if terms.notice_seconds is None else terms.notice_seconds * 1000),
        rate="–" if terms.rate is None else str(terms.rate),
        hours=_hours(terms.calendar),
        serves=", ".join([*(each.value for each in terms.sectors), *(each.value for each in terms.data_classes)]),
    )


def _hours(calendar: Calendar) -> str:
    """Its weekly windows; nothing for always."""
    spans = [
        f"{','.join(day.value for day in each.days)} {_clock(each.opens)}–{_clock(each.closes)}"
        for each in calendar.windows
    ]
    return f"{'; '.join(spans)} ({calendar.time_zone})" if spans else ""


def _clock(minute: int) -> str:
    return f"{minute // 60:02}:{minute % 60:02}"


def _recall_line(view: RecallView) -> TakenLine:
    return TakenLine(
        kind="recall",
        id=view.row.id,
        nodes=", ".join(view.nodes),
        begins=moment(view.row.by_ms),
        ends=moment(view.row.until_ms),
        group=None,
        why="",
        runs_left=len(view.departures),
    )


def _reservation_line(view: ReservationView) -> TakenLine:
    return TakenLine(
        kind="maintenance" if view.row.group_id is None else "reservation",
        id=view.row.id,
        nodes=", ".join(view.nodes),
        begins=moment(view.row.from_ms),
        ends=moment(view.row.to_ms),
        group=view.group,
        why=view.row.reason,
        runs_left=len(view.departures),
    )
