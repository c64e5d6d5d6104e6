"""The portal beside the API in one application: its pages of sites and quotas, its static files, its errors."""

from __future__ import annotations

from pathlib import Path

from fastapi import APIRouter, FastAPI, Request, Response
from fastapi.responses import HTMLResponse
from fastapi.staticfiles import StaticFiles

from scheduler.api.dependencies import RuntimeHere
from scheduler.api.problem import answered
from scheduler.cycle.use import ClassUse
from scheduler.model.cell_words import CellWords
from scheduler.model.reason_text import sentence
from scheduler.portal import job_live, jobs, sign_in, site
from scheduler.portal.frame import SignedIn, frame_of, page_of
from scheduler.portal.pages import GroupSection, GroupsPage, PoolLine, QuotaLine, SitesPage
from scheduler.portal.render import language_of, moment, render
from scheduler.portal.session import SignInNeeded
from scheduler.service.access import inspects
from scheduler.service.certificate import prices_by_pool, show_certificate
from scheduler.service.gpus import list_free_gpus
from scheduler.service.quota_fact import quota_fact
from scheduler.service.quotas import PAST_USE_MIN, QuotaView, show_quotas
from scheduler.service.sites import list_sites

router = APIRouter(include_in_schema=False, default_response_class=HTMLResponse)

STATIC = Path(__file__).resolve().parent / "static"


@router.get("/sites")
def sites_page(request: Request, who: SignedIn, runtime: RuntimeHere) -> Response:
    """Sites, and what is free on them; those that have reported no node, too."""
    told, language = show_certificate(runtime), language_of(request)
    certified = told.certified
    prices = {} if certified is None else prices_by_pool(certified.prices)
    sites = list_sites(runtime, who[0])
    mine = {each.row.name for each in sites if inspects(who[0], each.row.id)}
    pools = [
        PoolLine(
            site=each.site,
            has_page=each.site in mine,
            state=each.state,
            gpu_class=each.free.gpu_class,
            total=each.free.total,
            free=each.free.free,
            free_for_me=each.free.free_for_me,
            hours_saved=_price(prices.get((each.site, each.free.gpu_class))),
        )
        for each in answered(list_free_gpus(runtime, who[0], None))
    ]
    shown = {pool.site for pool in pools}
    for one in sites:
        if one.row.name not in shown:
            state = one.row.state if one.reachable else "unreachable"
            empty = PoolLine(
                site=one.row.name,
                has_page=one.row.name in mine,
                state=state,
                gpu_class=None,
                total=0,
                free=0,
                free_for_me=0,
                hours_saved=_price(None),
            )
            pools.append(empty)
    page = SitesPage(
        frame=frame_of(request, who),
        pools=pools,
        report=sentence(told.report.code, told.report.numbers, language),
        made=moment(None if certified is None else certified.made_ms),
        no_prices="" if told.no_prices is None else sentence(told.no_prices.code, told.no_prices.numbers, language),
    )
    return render("sites.html", page, language)


def _price(hours_saved: float | None) -> str:
    return "–" if hours_saved is None else f"{hours_saved:.1f}"


@router.get("/groups")
def groups_page(request: Request, who: SignedIn, runtime: RuntimeHere) -> Response:
    """Quota and use of the groups that I have a role in."""
    directory = runtime.directories.newest()
    mine = [directory.by_id[each] for each in who[0].roles if each in directory.by_id]
    sections = []
    for group in sorted(mine, key=lambda each: each.path):
        views = answered(show_quotas(runtime, who[0], group.path))
        quotas = [_quota_line(view) for view in views if view.row is not None or _is_seen(view.use)]
        sections.append(
            GroupSection(path=group.path, example=group.row.example, order=group.order.value, quotas=quotas)
        )
    return render("groups.html", GroupsPage(frame=frame_of(request, who), groups=sections), language_of(request))


def _is_seen(use: ClassUse) -> bool:
    return bool(use.used or use.queued) or use.before_gpus >= PAST_USE_MIN


def _quota_line(view: QuotaView) -> QuotaLine:
    row, use = view.row, view.use
    whole = max(1, use.fair_share, use.guaranteed_effective, use.used)
    return QuotaLine(
        gpu_class=view.gpu_class,
        guaranteed=0 if row is None else row.guaranteed,
        effective=use.guaranteed_effective,
        limit="–" if row is None or row.limit is None else str(row.limit),
        used=use.used,
        borrowed=use.borrowed,
        fair_share=use.fair_share,
        queued=use.queued,
        past_use=f"{use.past_use_gpus:.1f}",
        standing=f"{round(use.standing_gpus, 1) + 0.0:+.1f}",
        cells=_cells_text(view),
        used_percent=round(100 * use.used / whole),
    )


def _cells_text(view: QuotaView) -> str:
    cells = () if view.row is None else quota_fact(view.row).cells
    if not cells:
        return ""
    texts = [str(CellWords(each.level.word, each.nodes, each.number)) for each in cells]
    return f"{' '.join(texts)} ({view.use.cells_effective}/{sum(each.number for each in cells)})"


def install_portal(app: FastAPI) -> None:
    """Add the portal's pages and static files to ``app``; what goes wrong at their addresses is told as a page."""

    async def sign_in_needed(_request: Request, error: Exception) -> Response:
        assert isinstance(error, SignInNeeded)
        return sign_in.see(error.location)

    app.add_exception_handler(SignInNeeded, sign_in_needed)
    app.state.page_of = page_of
    # A stream's address is more particular than a job's action.
    for each in (sign_in.router, job_live.router, jobs.router, site.router, router):
        app.include_router(each)
    app.mount("/static", StaticFiles(directory=STATIC), name="static")
