"""Offers, recalls and reservations as rows: what still matters is found, and followers learn of every change."""

from __future__ import annotations

from store_rows import add_group, add_site

from scheduler.clock import ManualClock
from scheduler.store import offers, recalls, reservations
from scheduler.store.database import Database
from scheduler.store.offers import OfferRow, lending_change
from scheduler.store.recalls import RecallRow
from scheduler.store.reservations import ReservationRow


def add_offer(database: Database, site_id: int, *, group_id: int | None = None) -> OfferRow:
    """An offer whose terms nobody reads."""
    return database.run(
        lambda transaction: offers.add(transaction, site_id=site_id, group_id=group_id, terms="{}", created_by="minseo")
    )


def add_recall(database: Database, site_id: int, *, until_ms: int | None = None) -> RecallRow:
    """A recall of two nodes."""
    return database.run(
        lambda transaction: recalls.add(
            transaction,
            site_id=site_id,
            gpu_class="h100",
            node_ids=(3, 4),
            by_ms=transaction.now_ms + 1,
            until_ms=until_ms,
            created_by="minseo",
        )
    )


def add_reservation(database: Database, site_id: int, *, to_ms: int | None = None) -> ReservationRow:
    """A reservation of two nodes that are named."""
    return database.run(
        lambda transaction: reservations.add(
            transaction,
            site_id=site_id,
            gpu_class=None,
            node_ids=(3, 4),
            from_ms=transaction.now_ms,
            to_ms=to_ms,
            reason="new cables",
            created_by="minseo",
        )
    )


def test_an_offer_that_is_closed_stays_since_its_site_lends_only_by_offer(
    database: Database, clock: ManualClock
) -> None:
    site, other, lender = add_site(database), add_site(database, "company-1"), add_group(database, "partner")
    first, second = add_offer(database, site.id, group_id=lender.id), add_offer(database, other.id)
    assert (first.site_id, first.group_id, first.terms, first.closes_ms) == (site.id, lender.id, "{}", None)
    assert (first.created_ms, first.created_by) == (clock.now_ms(), "minseo")
    database.run(lambda transaction: offers.close(transaction, first.id, 77))
    with database.read() as connection:
        closed = offers.by_id(connection, first.id)
        assert closed is not None and closed.closes_ms == 77 and closed.change > second.change
        assert offers.every(connection) == [closed, second]
        assert offers.of_site(connection, site.id) == [closed]
        assert offers.by_id(connection, 99) is None


def test_recalls_that_were_withdrawn_or_are_over_matter_no_more(database: Database, clock: ManualClock) -> None:
    site, other = add_site(database), add_site(database, "company-1")
    now_ms = clock.now_ms()
    for_good, for_a_while = add_recall(database, site.id), add_recall(database, site.id, until_ms=now_ms + 60_000)
    elsewhere = add_recall(database, other.id)
    assert (for_good.nodes, for_good.node_ids, for_good.asked_ms) == (2, [3, 4], now_ms)
    with database.read() as connection:
        assert recalls.every(connection) == [for_good, for_a_while, elsewhere]
        assert recalls.of_site(connection, site.id) == [for_good, for_a_while]
        assert recalls.every(connection, since_ms=now_ms + 60_000) == [for_good, elsewhere]
    database.run(lambda transaction: recalls.withdraw(transaction, for_good.id))
    with database.read() as connection:
        assert recalls.every(connection) == [for_a_while, elsewhere]
        withdrawn = recalls.by_id(connection, for_good.id)
    assert withdrawn is not None and withdrawn.withdrawn_ms == now_ms


def test_reservations_that_were_withdrawn_or_are_over_matter_no_more(database: Database, clock: ManualClock) -> None:
    site, other = add_site(database), add_site(database, "company-1")
    now_ms = clock.now_ms()
    open_ended, short = add_reservation(database, site.id), add_reservation(database, site.id, to_ms=now_ms + 60_000)
    elsewhere = add_reservation(database, other.id)
    assert (open_ended.node_ids, open_ended.reason, open_ended.gpu_class) == ([3, 4], "new cables", None)
    with database.read() as connection:
        assert reservations.every(connection) == [open_ended, short, elsewhere]
        assert reservations.of_site(connection, site.id, since_ms=now_ms + 60_000) == [open_ended]
    database.run(lambda transaction: reservations.withdraw(transaction, open_ended.id))
    with database.read() as connection:
        assert reservations.every(connection) == [short, elsewhere]
        withdrawn = reservations.by_id(connection, open_ended.id)
    assert withdrawn is not None and withdrawn.withdrawn_ms == now_ms


def test_whoever_follows_learns_of_every_change_by_one_number(database: Database) -> None:
    def newest() -> int:
        with database.read() as connection:
            return lending_change(connection)

    site = add_site(database)
    assert newest() == 0
    offer, seen = add_offer(database, site.id), [newest()]
    recall = add_recall(database, site.id)
    seen.append(newest())
    reservation = add_reservation(database, site.id)
    seen.append(newest())
    database.run(lambda transaction: offers.close(transaction, offer.id, 77))
    seen.append(newest())
    database.run(lambda transaction: recalls.withdraw(transaction, recall.id))
    seen.append(newest())
    database.run(lambda transaction: reservations.withdraw(transaction, reservation.id))
    seen.append(newest())
    assert seen == sorted(set(seen)) and seen[0] == offer.change
