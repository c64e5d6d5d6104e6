"""Whom to end for a gang, one run after the other: the rule of ``displace`` as plain Python, for tests.

``make_way`` computes ``greedily`` on columns.
"""

from __future__ import annotations

from collections.abc import Sequence

from scheduler.placement.displace import Consent, Displaced, Occupant, Room, cheapest
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.request import Request


def displace(
    free: IntArray,
    request: Request,
    occupants: Sequence[Occupant],
    consent: Consent,
    usable: BoolArray | None = None,
) -> Displaced | None:
    """Choose whom to end so that ``request`` fits; None where that cannot be had. Arguments as in ``cheapest``."""
    needed = greedily(free, request, occupants, consent, usable)
    if needed is None:
        return None
    return cheapest(free, request, occupants, Displaced.of(needed), consent, usable)


def greedily(
    free: IntArray,
    request: Request,
    occupants: Sequence[Occupant],
    consent: Consent,
    usable: BoolArray | None = None,
) -> list[Occupant] | None:
    """End them in their order until the gang fits, then keep each that can be spared, the dearest first."""
    room = Room(free, request, consent, usable)
    ended: list[Occupant] = []
    for each in occupants:
        if room.fits:
            break
        if consent.may_end(each):
            room.end(each)
            ended.append(each)
    needed = None
    if room.fits:
        needed = ended = room.spare(ended)
    for each in ended:
        room.keep(each)
    return needed
