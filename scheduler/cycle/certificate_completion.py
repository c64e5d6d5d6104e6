"""The cheapest way to complete each job alone when time costs money: the inner problem of the price bound.

A job needs ``duration`` seconds after its release, pays a price a second while it runs, may pause at will, and pays
1 a second until it completes. For a completion at C it takes the cheapest seconds before C, so the cost is
C + S(C), S the sum of the cheapest ``duration`` seconds of [release, C].

S changes as C moves on: a new second pushes out the dearest one held, if it is cheaper. So C is swept forward, with
the seconds held in the order of their price and a pointer at the dearest; the pointer only moves to cheaper ones.
Between two events the cost is linear in C, so that its least value is found at an event. Every bin is passed once by
the sweep and once by the pointer; all jobs walk in step, so that each step is a few array operations.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from scheduler.cycle.certificate_case import FloatArray, IntArray
from scheduler.cycle.certificate_walk import Pieces, Walk


@dataclass(frozen=True, slots=True)
class Completions:
    """The least cost of each job and where its seconds lie.

    ``cost_seconds`` (jobs) is C + S(C), counted from the release. ``job``, ``bin``, ``seconds`` say how long each job
    runs in each bin that it touches.
    """

    cost_seconds: FloatArray
    job: IntArray
    bin: IntArray
    seconds: FloatArray


def cheapest_completions(
    release_seconds: FloatArray,
    duration_seconds: FloatArray,
    weight: FloatArray,
    kind: IntArray,
    edges_seconds: FloatArray,
    price: FloatArray,
) -> Completions:
    """Find the cheapest completion of every job, exactly but for rounding.

    A second of job j in bin b costs ``weight[j] * price[kind[j], b]``; ``price`` is kinds x bins. No release lies
    before the first of the ``edges_seconds`` (bins + 1); the last bin must be free of charge and hold any job whole.
    """
    at_once = _price_of_running_at_once(release_seconds, duration_seconds, kind, edges_seconds, price)
    cost = duration_seconds + weight * at_once
    late = np.maximum(edges_seconds[-2] - release_seconds, 0.0) + duration_seconds
    pieces = _cut(release_seconds, np.minimum(cost, late), edges_seconds)
    pieces = pieces._replace(price=price[kind[pieces.job], pieces.bin] * weight[pieces.job])
    cheapest = np.full(len(cost), np.inf)
    np.minimum.at(cheapest, pieces.job, pieces.price)
    held, offered = _held_and_offered(pieces, duration_seconds, cost, cheapest)
    cheapest_offer = np.full(len(cost), np.inf)
    np.minimum.at(cheapest_offer, offered.job, offered.price)
    in_play = held.price > cheapest_offer[held.job]
    certain, pieces = held.of(~in_play), _joined(held.of(in_play), offered)
    walk = Walk(pieces, duration_seconds, cost, cheapest * duration_seconds)
    walk.finish()
    return Completions(
        walk.cost,
        np.concatenate([certain.job, pieces.job]),
        np.concatenate([certain.bin, pieces.bin]),
        np.concatenate([certain.length, walk.seconds()]),
    )


def _price_of_running_at_once(
    release: FloatArray, duration: FloatArray, kind: IntArray, edges: FloatArray, price: FloatArray
) -> FloatArray:
    """Return the integral of each job's price over [release, release + duration], for a weight of 1."""
    paid = np.concatenate([np.zeros((len(price), 1)), np.cumsum(price * np.diff(edges), axis=1)], axis=1)
    found = np.empty(len(release))
    for row in range(len(price)):
        mine = kind == row
        begin, end = release[mine], release[mine] + duration[mine]
        found[mine] = np.interp(end, edges, paid[row]) - np.interp(begin, edges, paid[row])
    return np.maximum(found, 0.0)


def _cut(release: FloatArray, until: FloatArray, edges: FloatArray) -> Pieces:
    """Cut [release, release + until] of every job at the edges; the last piece goes on to the next edge."""
    first = np.searchsorted(edges, release, side="right") - 1
    last = np.clip(np.searchsorted(edges, release + until, side="left"), first + 1, len(edges) - 1)
    counts = last - first
    ends = np.cumsum(counts)
    job = np.repeat(np.arange(len(release)), counts)
    position = np.arange(ends[-1]) - np.repeat(ends - counts - first, counts)
    since = release[job]
    start = np.maximum(edges[position] - since, 0.0)
    return Pieces(job, position, start, edges[position + 1] - since - start, start)


def _held_and_offered(
    pieces: Pieces, duration: FloatArray, cost: FloatArray, cheapest: FloatArray
) -> tuple[Pieces, Pieces]:
    """Split into the seconds held at the first possible completion and those later ones that may push some out.

    A later second is of no use if it is no cheaper than the dearest held, or so late that waiting for it costs more
    than to run at once even if all seconds were as cheap as the cheapest of all.
    """
    need = duration[pieces.job]
    early = pieces.start < need
    held = pieces.of(early)
    held = held._replace(length=np.minimum(held.length, duration[held.job] - held.start))
    dearest = np.zeros(len(duration))
    np.maximum.at(dearest, held.job, held.price)
    begin = np.maximum(pieces.start, need)
    useful = (pieces.start + pieces.length > need) & (pieces.price < dearest[pieces.job])
    useful &= begin + cheapest[pieces.job] * need < cost[pieces.job]
    offered, begin = pieces.of(useful), begin[useful]
    return held, offered._replace(start=begin, length=offered.length - (begin - offered.start))


def _joined(held: Pieces, offered: Pieces) -> Pieces:
    """Return both in the order of jobs and time; what is held lies before what is offered."""
    order = np.argsort(np.concatenate([held.job, offered.job]), kind="stable")
    return Pieces(*(np.concatenate([mine, theirs])[order] for mine, theirs in zip(held, offered, strict=True)))
