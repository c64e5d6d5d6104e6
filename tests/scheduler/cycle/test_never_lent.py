"""What offers will never let in is refused at once, and nothing else is; the oracle is the round, on an empty federation."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

import pytest
from federations import OPEN_SITE, group_facts, node_of, plain_shape
from hypothesis import event, given
from hypothesis import strategies as st

from quota.tree import Quota
from scheduler.cycle.decide import decide
from scheduler.cycle.facts import WaitingJob
from scheduler.cycle.feasible import why_never
from scheduler.cycle.federation import Federation
from scheduler.cycle.stay import Stay
from scheduler.model.calendar import Calendar
from scheduler.model.ids import GroupId, JobId, OfferId, ShapeId, SiteId
from scheduler.model.offer import Offer, Sector
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.model.site import Node, Site

GROUP, JOB, SHAPE = GroupId(4), JobId(1), ShapeId(1)
MINUTE_MS, HOUR_MS, DAY_MS = 60_000, 3_600_000, 86_400_000
SITES = (OPEN_SITE, replace(OPEN_SITE, id=SiteId(2), name="site-2"))


@dataclass(frozen=True)
class Asked:
    """A job, and all that is declared of the federation that it is submitted to."""

    shape: Shape
    offers: tuple[Offer, ...]
    nodes: tuple[Node, ...]
    walltime_ms: int | None = None
    save_ms: int | None = None
    priority: int = 0
    guaranteed: int = 0
    limit: int | None = None

    def federation(self, sites: tuple[Site, ...] = SITES) -> Federation:
        """With nothing running, and this job alone waiting."""
        federation = Federation()
        quotas = {(GroupId(2), "h100"): Quota(guaranteed=self.guaranteed)}
        quotas[GROUP, "h100"] = Quota(guaranteed=self.guaranteed, limit=self.limit)
        federation.set_groups([replace(each, sector=Sector.RESEARCH) for each in group_facts()], quotas)
        for site in sites:
            federation.put_site(site)
        for node in self.nodes:
            federation.put_node(node)
        federation.put_shape(SHAPE, self.shape)
        job = WaitingJob(
            id=JOB,
            group=GROUP,
            shape=SHAPE,
            priority=self.priority,
            submitted_ms=0,
            walltime_ms=self.walltime_ms,
            save_ms=self.save_ms,
        )
        federation.put_waiting([job])
        federation.set_lending(self.offers, (), ())
        return federation

    def never(self, sites: tuple[Site, ...] = SITES) -> Refusal | None:
        """What submission says."""
        stay = Stay.of(self.walltime_ms, self.save_ms)
        return why_never(self.federation(sites).snapshot(), GROUP, self.shape, stay=stay, priority=self.priority)

    def starts_sometime(self) -> bool:
        """Whether a round at one of the moments at which a window opens starts it: what the slow way finds in eight days."""
        federation, moments = self.federation(), {0}
        for offer in self.offers:
            moments |= {from_ms for from_ms, _ in _until(offer, 8 * DAY_MS)}
        for now_ms in sorted(moments):
            federation.lend(now_ms)
            if len(decide(federation.snapshot(), 0).starts):
                return True
        return False


def _until(offer: Offer, to_ms: int) -> list[tuple[int, int | None]]:
    found = []
    for spell in offer.spells(0):
        if spell[0] >= to_ms:
            break
        found.append(spell)
    return found


def calendar(*windows: tuple[str, str], **more: Any) -> Calendar:
    """Of Korea, with windows of every day."""
    document = {"time_zone": "Asia/Seoul", "windows": [{"from": begin, "to": end} for begin, end in windows], **more}
    return Calendar.model_validate(document)


def offer(number: int, *, site: int = 1, nodes: int = 8, notice: int | None = 600, **more: Any) -> Offer:
    """Of h100, all the time and to everybody."""
    terms = {"calendar": calendar(), **more}
    return Offer(id=OfferId(number), site=SiteId(site), gpu_class="h100", nodes=nodes, notice_seconds=notice, **terms)


#: Windows that open together, so that what one of them lends is lent beside the others.
TOGETHER = st.sampled_from(
    (
        calendar(),
        calendar(("09:00", "10:00")),
        calendar(("09:00", "12:00")),
        calendar(("09:00", "09:10")),
        calendar(("09:00", "08:00")),
    )
)
APART = TOGETHER | st.sampled_from(
    (
        calendar(("20:00", "08:00")),
        calendar(("12:00", "13:00"), ("13:00", "14:30")),
        calendar(valid_from="1970-01-02", valid_until="1970-01-03"),
        calendar(("22:00", "23:00"), valid_until="1970-01-04"),
    )
)


@st.composite
def offers_of(draw: st.DrawFn, number: int, calendars: st.SearchStrategy[Calendar]) -> Offer:
    """One that keeps somebody out, as like as not."""
    return offer(
        number,
        site=draw(st.integers(1, 2)),
        nodes=draw(st.integers(1, 3)),
        notice=draw(st.sampled_from((None, 600))),
        calendar=draw(calendars),
        sectors=draw(st.sampled_from(((), (), (Sector.STARTUP,), (Sector.RESEARCH, Sector.PUBLIC)))),
        data_classes=draw(st.sampled_from(((), (), (DataClass.SENSITIVE,)))),
        priority_floor=draw(st.sampled_from((None, None, 50))),
        minimum_hold_seconds=draw(st.sampled_from((0, 0, 5400))),
    )


@st.composite
def asked(draw: st.DrawFn, *, even: bool) -> Asked:
    """``even``: nodes are alike, windows open together, and no site offers more nodes than it has: submission knows all that
    decides."""
    calendars = TOGETHER if even else APART
    nodes = []
    for number in range(1, draw(st.integers(1, 5)) + 1):
        gpus = 8 if even else draw(st.sampled_from((2, 4, 8)))
        domain = () if even else (draw(st.sampled_from("ab")), draw(st.sampled_from("cd")), "leaf")
        nodes.append(replace(node_of(number, gpus, site=draw(st.integers(1, 2))), domain=domain))
    made = [draw(offers_of(number, calendars)) for number in range(1, draw(st.integers(0, 4)) + 1)]
    if even:
        made = list(_that_there_are(made, nodes))
    elif made and draw(st.booleans()):
        made[0] = replace(made[0], closes_ms=draw(st.sampled_from((0, DAY_MS))))
    guaranteed = draw(st.sampled_from((8, 16, 24)))
    shape = plain_shape(
        draw(st.sampled_from((2, 8))),
        workers=draw(st.integers(1, 3)),
        preemptible=draw(st.sampled_from((True, True, False))),
    )
    required = Topology.ANY if even else draw(st.sampled_from((Topology.ANY, Topology.SPINE)))
    return Asked(
        shape=replace(shape, required=required),
        offers=tuple(made),
        nodes=tuple(nodes),
        walltime_ms=draw(st.sampled_from((None, 5 * MINUTE_MS, HOUR_MS, 2 * HOUR_MS))),
        save_ms=draw(st.sampled_from((None, None, MINUTE_MS))),
        priority=draw(st.sampled_from((0, 0, 100))),
        guaranteed=guaranteed,
        limit=draw(st.sampled_from((None, None, guaranteed, guaranteed + 8))),
    )


def _that_there_are(made: list[Offer], nodes: list[Node]) -> Iterator[Offer]:
    """Offers, one after the other, as long as their sites have so many nodes left."""
    left = Counter(node.site_id for node in nodes)
    for each in made:
        if each.nodes <= left[each.site]:
            left[each.site] -= each.nodes
            yield each


@given(asked(even=False))
def test_what_is_refused_as_never_starts_in_no_round_whichever_windows_are_open(job: Asked) -> None:
    refusal = job.never()
    event("accepted" if refusal is None else refusal.reasons[0].code.value)
    assert refusal is None or not job.starts_sometime()


@given(asked(even=True))
def test_what_is_not_refused_starts_in_some_round(job: Asked) -> None:
    refusal = job.never()
    event("accepted" if refusal is None else refusal.reasons[0].code.value)
    assert job.starts_sometime() == (refusal is None)


def told(job: Asked) -> tuple[ReasonCode, dict[str, Any]]:
    refusal = job.never()
    assert refusal is not None
    return refusal.reasons[0].code, dict(refusal.reasons[0].numbers)


NODES = tuple(node_of(number, 8) for number in range(1, 5))
PLAIN = Asked(shape=plain_shape(8), offers=(offer(1),), nodes=NODES)


def test_a_gang_that_cannot_be_preempted_and_is_larger_than_the_guarantee_is_told_the_guarantee() -> None:
    firm = replace(PLAIN, offers=(), shape=plain_shape(8, workers=4, preemptible=False), guaranteed=16)
    code, numbers = told(firm)
    assert (code, numbers["asked"], numbers["guaranteed"]) == (ReasonCode.EXCEEDS_GUARANTEE, 32, 16)
    assert replace(firm, guaranteed=32).never() is None
    assert replace(firm, shape=plain_shape(8, workers=4)).never() is None


def test_who_no_offer_serves_is_told_of_how_many_offers_that_is_so() -> None:
    elsewhere = replace(
        PLAIN, offers=(offer(1, sectors=(Sector.STARTUP,)), offer(2, data_classes=(DataClass.SENSITIVE,)))
    )
    code, numbers = told(elsewhere)
    assert (code, numbers["offers"], numbers["sector"]) == (ReasonCode.NEVER_LENT_TO, 2, "research")
    assert replace(elsewhere, offers=(*elsewhere.offers, offer(3))).never() is None
    assert told(replace(PLAIN, offers=(offer(1, priority_floor=50),)))[0] is ReasonCode.NEVER_LENT_TO


def test_a_job_that_is_longer_than_every_window_is_told_the_longest_and_what_walltime_would_do() -> None:
    hours = (offer(1, calendar=calendar(("09:00", "10:00"))), offer(2, calendar=calendar(("20:00", "20:30"))))
    long = replace(PLAIN, offers=hours, walltime_ms=2 * HOUR_MS)
    code, numbers = told(long)
    assert (code, numbers["offers"], numbers["longest_seconds"]) == (ReasonCode.WINDOWS_TOO_SHORT, 2, 3600)
    assert replace(long, walltime_ms=numbers["seconds_max"] * 1000).never() is None
    assert replace(long, save_ms=MINUTE_MS).never() is None
    assert told(replace(long, walltime_ms=None))[0] is ReasonCode.WINDOWS_TOO_SHORT


def test_work_that_cannot_be_preempted_is_told_that_every_offer_is_recalled_or_ends() -> None:
    firm = replace(PLAIN, shape=plain_shape(8, preemptible=False), guaranteed=8)
    for made in (offer(1), offer(1, notice=None, calendar=calendar(("09:00", "10:00")))):
        assert told(replace(firm, offers=(made,)))[0] is ReasonCode.ONLY_RECALLABLE
    assert replace(firm, offers=(offer(1, notice=None),)).never() is None


def test_a_gang_of_more_nodes_than_are_offered_is_told_how_many_workers_they_hold() -> None:
    code, numbers = told(replace(PLAIN, offers=(offer(1, nodes=1), offer(2, nodes=1)), shape=plain_shape(8, workers=3)))
    assert (code, numbers["workers_max"]) == (ReasonCode.TOO_FEW_LENT, 2)


@pytest.mark.parametrize(
    "made",
    [
        offer(1, closes_ms=0),
        offer(1, calendar=calendar(valid_until="1970-01-02")),
        offer(1, calendar=calendar(("09:00", "12:00"), blackouts=["1970-01-01"])),
    ],
    ids=["closed", "over", "blackout"],
)
def test_never_is_not_said_of_an_offer_that_does_not_lend_now(made: Offer) -> None:
    assert replace(PLAIN, offers=(made,), walltime_ms=HOUR_MS).never() is None


def test_never_is_not_said_while_a_site_that_lends_all_it_has_could_hold_it() -> None:
    both = replace(PLAIN, nodes=(*NODES, node_of(9, 8, site=2)), offers=(offer(1, sectors=(Sector.STARTUP,)),))
    assert both.never() is None
    assert told(replace(both, shape=plain_shape(8, workers=2)))[0] is ReasonCode.NEVER_LENT_TO
