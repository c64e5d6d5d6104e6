"""Templates in the reader's language, everything escaped."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from functools import cache
from pathlib import Path
from typing import Any

from babel.support import NullTranslations, Translations
from fastapi import Request
from fastapi.responses import HTMLResponse
from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup, escape

from scheduler.model.words import Language, WordKind, word
from scheduler.portal.pages import Moment
from scheduler.service.time_text import time_text

LANGUAGE_COOKIE = "dure_language"
LOCALE = Path(__file__).resolve().parents[1] / "locale"
KOREA = timezone(timedelta(hours=9), "KST")
#: Nothing but our own files; no script or style in a page itself.
HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; "
        "form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "Referrer-Policy": "same-origin",
    "Cache-Control": "no-store",
}


def language_of(request: Request) -> Language:
    """The chosen language; else what the browser asks for; else Korean."""
    chosen = request.cookies.get(LANGUAGE_COOKIE)
    if chosen in ("ko", "en"):
        return "ko" if chosen == "ko" else "en"
    for part in request.headers.get("accept-language", "").lower().split(","):
        match = re.match(r"\s*(ko|en)\b", part)
        if match:
            return "ko" if match[1] == "ko" else "en"
    return "ko"


@cache
def translations(language: Language) -> NullTranslations:
    """The catalogue of one language; English stands in the templates themselves."""
    return Translations.load(LOCALE, [language], "dure") if language == "ko" else NullTranslations()


@cache
def environment(language: Language) -> Environment:
    """Jinja for one language."""
    made = Environment(
        loader=PackageLoader("scheduler.portal"),
        autoescape=True,
        undefined=StrictUndefined,
        extensions=["jinja2.ext.i18n"],
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters["breakable"] = _breakable
    made.globals["word"] = lambda kind, name: word(WordKind(kind), name, language)
    made.install_gettext_translations(translations(language), newstyle=True)  # type: ignore[attr-defined]
    return made


def fragment(template: str, page: Any, language: Language) -> str:
    """A template's HTML."""
    return environment(language).get_template(template).render(page=page)


def render(template: str, page: Any, language: Language, *, status: int = 200) -> HTMLResponse:
    """A whole page."""
    return HTMLResponse(fragment(template, page, language), status_code=status, headers=HEADERS)


def _breakable(name: str) -> Markup:
    """A dotted name that may be broken after its dots, and nowhere else."""
    return escape(name).replace(".", Markup(".<wbr>"))


def moment(at_ms: int | None) -> Moment | None:
    """A time as it is shown: in Korea, with year and zone."""
    if at_ms is None:
        return None
    there = datetime.fromtimestamp(at_ms / 1000, tz=UTC).astimezone(KOREA)
    return Moment(iso=time_text(at_ms), day=f"{there:%Y-%m-%d}", time=f"{there:%H:%M:%S %Z}")


def show_duration(milliseconds: int | None) -> str:
    """A duration, short."""
    if milliseconds is None:
        return "–"
    seconds = milliseconds // 1000
    hours, minutes = seconds // 3600, seconds // 60 % 60
    if hours:
        return f"{hours}h{minutes:02}m"
    return f"{minutes}m{seconds % 60:02}s" if minutes else f"{seconds}s"
