"""Plots as inline SVG, drawn by hand: curves over time, stacked areas and bars. No script, no link."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape

WIDTH, HEIGHT = 860, 260
_LEFT, _RIGHT, _TOP, _BOTTOM = 64, 12, 12, 30

#: Told apart by most people who do not see all colours (Okabe and Ito), then repeated paler.
COLOURS = ("#0072b2", "#e69f00", "#009e73", "#cc79a7", "#56b4e9", "#d55e00", "#f0e442", "#666666")

Curve = Sequence[float]


def colour(number: int) -> str:
    """The colour of the ``number``-th thing."""
    return COLOURS[number % len(COLOURS)]


def curves(days: Curve, series: Mapping[str, Curve], *, unit: str, dashed: Mapping[str, Curve] | None = None) -> str:
    """Lines over days, from nothing or below it; those of ``dashed`` have the colour of the line of the same name."""
    beside = dashed or {}
    every = [value for each in (*series.values(), *beside.values()) for value in each]
    top, least = _ceiling(max(every, default=0.0)), min(every, default=0.0)
    bottom = -_ceiling(-least) if least < 0 else 0.0
    shown = []
    for number, (name, values) in enumerate(series.items()):
        shown.append(_line(days, values, top, colour(number), "", bottom))
        if name in beside:
            shown.append(_line(days, beside[name], top, colour(number), ' stroke-dasharray="5 4"', bottom))
    return _figure(days, top, unit, shown, bottom) + _legend(list(series))


def areas(days: Curve, series: Mapping[str, Curve], *, unit: str, line: Curve | None = None) -> str:
    """Series stacked on one another over days, and one line on top."""
    sums = [0.0] * len(days)
    shown = []
    layers = []
    for number, values in enumerate(series.values()):
        below, sums = sums, [low + high for low, high in zip(sums, values, strict=True)]
        layers.append((below, sums, colour(number)))
    top = _ceiling(max((*sums, *(line or ())), default=0.0))
    for below, above, fill in layers:
        points = [*_points(days, above, top), *reversed(_points(days, below, top))]
        shown.append(f'<polygon points="{_join(points)}" fill="{fill}" fill-opacity="0.8"/>')
    if line is not None:
        shown.append(_line(days, line, top, "#222222", ' stroke-dasharray="2 3"'))
    return _figure(days, top, unit, shown) + _legend(list(series))


def bars(labels: Sequence[str], series: Mapping[str, Curve], *, unit: str, logarithmic: bool = False) -> str:
    """Bars side by side for each label; on a logarithmic axis from 1 where asked for."""
    highest = max((max(values, default=0.0) for values in series.values()), default=0.0)
    top = 10 ** math.ceil(math.log10(max(highest, 10))) if logarithmic else _ceiling(highest)
    step = (WIDTH - _LEFT - _RIGHT) / max(len(labels), 1)
    thick = step * 0.8 / max(len(series), 1)
    shown = []
    for number, values in enumerate(series.values()):
        for place, value in enumerate(values):
            part = math.log10(max(value, 1)) / math.log10(top) if logarithmic else value / top
            high = part * (HEIGHT - _TOP - _BOTTOM)
            x = _LEFT + place * step + step * 0.1 + number * thick
            y = HEIGHT - _BOTTOM - high
            shown.append(
                f'<rect x="{x:.1f}" y="{y:.1f}" width="{thick:.1f}" height="{high:.1f}" fill="{colour(number)}">'
                f"<title>{escape(labels[place])}: {_number(value)} {escape(unit)}</title></rect>"
            )
    for place, label in enumerate(labels):
        x = _LEFT + (place + 0.5) * step
        shown.append(f'<text x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{escape(label)}</text>')
    return _frame(top, unit, shown, logarithmic=logarithmic) + _legend(list(series))


def _figure(days: Curve, top: float, unit: str, shown: list[str], bottom: float = 0.0) -> str:
    last = days[-1] if days else 1.0
    first = days[0] if days else 0.0
    for part in range(6):
        x = _LEFT + part / 5 * (WIDTH - _LEFT - _RIGHT)
        day = first + (last - first) * part / 5
        shown.append(f'<text x="{x:.1f}" y="{HEIGHT - 10}" text-anchor="middle">{day:.1f} d</text>')
    return _frame(top, unit, shown, bottom=bottom)


def _frame(top: float, unit: str, shown: list[str], *, logarithmic: bool = False, bottom: float = 0.0) -> str:
    axis = []
    marks = round(math.log10(top)) if logarithmic else 4
    for part in range(marks + 1):
        y = HEIGHT - _BOTTOM - part / marks * (HEIGHT - _TOP - _BOTTOM)
        value = 10**part if logarithmic else bottom + (top - bottom) * part / marks
        axis.append(f'<line x1="{_LEFT}" y1="{y:.1f}" x2="{WIDTH - _RIGHT}" y2="{y:.1f}" stroke="#cccccc"/>')
        axis.append(f'<text x="{_LEFT - 6}" y="{y + 4:.1f}" text-anchor="end">{_number(value)}</text>')
    axis.append(f'<text x="4" y="{_TOP + 2}" class="unit">{escape(unit)}</text>')
    body = "".join((*axis, *shown))
    return f'<svg viewBox="0 0 {WIDTH} {HEIGHT}" role="img">{body}</svg>'


def _points(days: Curve, values: Curve, top: float, bottom: float = 0.0) -> list[tuple[float, float]]:
    first, span = (days[0], (days[-1] - days[0]) or 1.0) if days else (0.0, 1.0)
    wide, high = WIDTH - _LEFT - _RIGHT, HEIGHT - _TOP - _BOTTOM
    return [
        (_LEFT + (day - first) / span * wide, HEIGHT - _BOTTOM - (value - bottom) / (top - bottom) * high)
        for day, value in zip(days, values, strict=True)
    ]


def _join(points: Sequence[tuple[float, float]]) -> str:
    return " ".join(f"{x:.1f},{y:.1f}" for x, y in points)


def _line(days: Curve, values: Curve, top: float, stroke: str, more: str, bottom: float = 0.0) -> str:
    points = _join(_points(days, values, top, bottom))
    return f'<polyline points="{points}" fill="none" stroke="{stroke}" stroke-width="1.5"{more}/>'


def _legend(names: Sequence[str]) -> str:
    keys = "".join(
        f'<span><i style="background:{colour(number)}"></i>{escape(name)}</span>' for number, name in enumerate(names)
    )
    return f'<p class="legend">{keys}</p>'


def _ceiling(value: float) -> float:
    """A round number that is no less."""
    if value <= 0:
        return 1.0
    power = float(10 ** math.floor(math.log10(value)))
    return next(step * power for step in (1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0) if step * power >= value)


def _number(value: float) -> str:
    if abs(value) >= 100_000:
        return f"{value:.0e}".replace("e+0", "e").replace("e+", "e")
    return f"{value:,.0f}" if abs(value) >= 10 or value == round(value) else f"{value:.2f}"
