"""What sites had lent at the most, against what rounds would have found lent at each moment."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from federations import node_of
from hypothesis import given
from hypothesis import strategies as st
from lendings import HOUR_MS, NOW_MS, offer_of, offers, recalls, reservations

from scheduler.cycle.certificate_lent import PastOffer, lent_gpus
from scheduler.cycle.certificate_record import ReportedGpus
from scheduler.cycle.lent import lend
from scheduler.model.calendar import Calendar
from scheduler.model.ids import SiteId
from scheduler.model.offer import Offer
from scheduler.model.site import Node

HOURS = range(-30, 31)
NIGHTS = Calendar.model_validate({"time_zone": "UTC", "windows": [{"days": "mon-sun", "from": "20:00", "to": "08:00"}]})


def at(rows: list[ReportedGpus], site: int, gpu_class: str, moment_ms: int) -> int:
    """GPUs of a class at a site at a moment."""
    mine = [row for row in rows if (row.site, row.gpu_class) == (site, gpu_class) and row.at_ms <= moment_ms]
    return max(mine, key=lambda row: row.at_ms).gpus if mine else 0


def reported(nodes: list[Node], at_ms: int) -> list[ReportedGpus]:
    """What sites report of these nodes."""
    kinds = {(node.site_id, node.gpu_class) for node in nodes}
    found = []
    for site, gpu_class in sorted(kinds):
        gpus = [node.gpus for node in nodes if (node.site_id, node.gpu_class) == (site, gpu_class)]
        found.append(ReportedGpus(site, gpu_class, at_ms, sum(gpus), max(gpus)))
    return found


@st.composite
def nodes_of_two_sites(draw: st.DrawFn) -> list[Node]:
    """A few nodes of two classes and several sizes."""
    return [
        replace(
            node_of(number, draw(st.sampled_from((2, 4, 8))), site=draw(st.integers(1, 2))),
            gpu_class=draw(st.sampled_from(("h100", "a100"))),
            healthy=draw(st.sampled_from((True, True, True, False))),
        )
        for number in range(1, draw(st.integers(2, 7)))
    ]


@given(st.data(), nodes_of_two_sites(), offers(), st.lists(st.integers(-20, 5), min_size=4, max_size=4))
def test_no_round_ever_found_more_lent(
    data: st.DataObject, nodes: list[Node], made: list[Offer], ages: list[int]
) -> None:
    past = [PastOffer(offer, NOW_MS + hours * HOUR_MS) for offer, hours in zip(made, ages, strict=False)]
    told = lent_gpus(reported(nodes, NOW_MS + HOURS[0] * HOUR_MS), past, NOW_MS + HOURS[-1] * HOUR_MS)
    known = {node.id: (node.site_id, node.gpu_class) for node in nodes}
    asked, kept = data.draw(recalls(known)), data.draw(reservations(known))
    for moment_ms in (NOW_MS + hours * HOUR_MS for hours in HOURS):
        for site in (SiteId(1), SiteId(2)):
            mine = {node.id: node for node in nodes if node.site_id == site}
            lent = lend(
                mine.values(), {}, [each.offer for each in past if each.offer.site == site and each.made_ms <= moment_ms],
                [each for each in asked if each.site == site], [each for each in kept if each.site == site], moment_ms,
            )  # fmt: skip
            gpus: Counter[str] = Counter()
            for node_id in lent.nodes:
                gpus[mine[node_id].gpu_class] += mine[node_id].gpus
            for gpu_class, amount in gpus.items():
                assert amount <= at(told, site, gpu_class, moment_ms)


def test_a_site_that_never_made_an_offer_lends_what_it_reports() -> None:
    rows = reported([node_of(1, 8), node_of(2, 8, site=2)], 0)
    assert lent_gpus(rows, [PastOffer(offer_of(), NOW_MS)], NOW_MS)[:1] == rows[1:]


def test_from_its_first_offer_on_a_site_lends_as_many_nodes_as_its_windows_say() -> None:
    nodes = [node_of(number, 8) for number in range(1, 5)]
    past = [
        PastOffer(offer_of(1, nodes=4, gpu_class="a100"), NOW_MS + HOUR_MS // 2),
        PastOffer(offer_of(2, nodes=3, calendar=NIGHTS), NOW_MS + HOUR_MS),
        PastOffer(offer_of(3, nodes=1), NOW_MS + 30 * HOUR_MS),
    ]
    rows = lent_gpus(reported(nodes, NOW_MS), past, NOW_MS + 60 * HOUR_MS)
    # It is three in the morning, UTC.
    hours = (0, 0.75, 1, 4, 5, 16, 17, 28, 29, 30, 41, 53)
    by_hour = [at(rows, 1, "h100", NOW_MS + int(each * HOUR_MS)) for each in hours]
    assert by_hour == [32, 0, 24, 24, 0, 0, 24, 24, 0, 8, 32, 8]


def test_what_a_site_took_away_it_does_not_lend() -> None:
    rows = [*reported([node_of(1, 8), node_of(2, 8)], NOW_MS), ReportedGpus(SiteId(1), "h100", NOW_MS + HOUR_MS, 8, 8)]
    found = lent_gpus(rows, [PastOffer(offer_of(nodes=2), NOW_MS)], NOW_MS + 2 * HOUR_MS)
    assert [at(found, 1, "h100", NOW_MS + hours * HOUR_MS) for hours in (0, 1)] == [16, 8]
