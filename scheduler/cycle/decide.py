"""The round: one pure decision in numbered steps.

Jobs for which nodes are held come first, and runs whose nodes are about to be taken back are told to go. 1. effective
capacity, 2. fair shares, 3. order, 4. placement by class, with 5. reservations for heads that are found blocked in it, 6.
reclaim, from elastic runs first, and moves of runs for heads that have room in no one place; what is left then goes to elastic
gangs; 7. verdicts. Step 8, ``check_plan``, is made by whoever
applies the plan.

A job that names several GPU classes is tried on the first one everywhere before any job is tried on its second one; one that is
blocked on all of them is tried on the last in its turn, beside those who name that one first.
Ties: group order is ``quota.order``, which ends with what groups used before and their names, jobs by priority, submit time
and id, sites by fewest free GPUs, then name.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from quota.admission import available_all
from scheduler.cycle.give_back import GivenBack, give_back
from scheduler.cycle.grow import grow
from scheduler.cycle.move import move
from scheduler.cycle.plan import Plan, Reservation
from scheduler.cycle.reclaim import reclaim
from scheduler.cycle.redeem import Redemption, redeem
from scheduler.cycle.reservations import Reservations, unserved
from scheduler.cycle.round import Round
from scheduler.cycle.snapshot import Snapshot
from scheduler.cycle.soon import Soon
from scheduler.cycle.starts import StartTable
from scheduler.cycle.verdicts import Verdicts
from scheduler.placement.arrays import Quotas
from scheduler.placement.kernel import hand_out
from scheduler.placement.pool import BoolArray, IntArray
from scheduler.placement.waiting import could_start, tried_on


def decide(snapshot: Snapshot, seed: int) -> Plan:
    """Decide what starts at the snapshot's moment, and say of every class that waits on why. The same input gives the same plan.

    ``seed`` is carried into the plan; no step of this version draws from it.
    """
    round_, redeemed, given_back, reservations = handed_out(snapshot)
    round_.share_anew()
    soon = Soon(round_)
    reclaimed = reclaim(round_, soon, given_back)
    going = frozenset(stop.run for stop in (*given_back.stops, *reclaimed.stops))
    left = unserved(reservations, reclaimed.earmarks)
    moved = move(round_, soon, left, going)
    left = unserved(left, moved.earmarks)
    grown = grow(round_, soon, left, going | {stop.run for stop in moved.stops})
    starts = StartTable(snapshot, round_.site_pools, round_.board.nodes.first, grown.starts)
    return Plan(
        starts=starts,
        verdicts=Verdicts(round_),
        seed=seed,
        redeemed=redeemed.starts,
        withdrawn=redeemed.withdrawn,
        stops=(*given_back.stops, *reclaimed.stops, *moved.stops, *grown.stops),
        earmarks=(*reclaimed.earmarks, *moved.earmarks),
        moves=moved.moves,
        sizes=(*given_back.sizes, *reclaimed.sizes, *grown.sizes),
        reservations=reservations,
    )


def handed_out(snapshot: Snapshot) -> tuple[Round, Redemption, GivenBack, tuple[Reservation, ...]]:
    """Steps 1 to 5: a round with its starts.

    Jobs that have found room on none of their GPU classes, the last of which went to those who name it first, are given their
    turn there: all is handed out anew. There is a class of jobs more each time, so that it ends.
    """
    in_turn: BoolArray | None = None
    while True:
        round_ = Round(snapshot)
        redeemed, given_back = redeem(round_), give_back(round_)
        used = {name: usage.own.copy() for name, usage in round_.usages.items()} if round_.choices.shape[1] > 1 else {}
        made = place(round_, in_turn)
        late = _too_late(round_, used, made) if used else np.zeros(0, np.bool_)
        if in_turn is not None:
            late &= ~in_turn
        if not late.any():
            return round_, redeemed, given_back, made
        in_turn = late if in_turn is None else in_turn | late


def _too_late(round_: Round, used: Mapping[str, IntArray], made: Sequence[Reservation]) -> BoolArray:
    """Rows none of whose jobs has started, of groups that ``used`` less than their share of the last GPU class that they name,
    of which others have got something."""
    classes, last = round_.classes, round_.last_choice
    waits = (last > 0) & (classes.next == round_.snapshot.table.start) & (classes.next < classes.stop)
    late = np.zeros(len(last), np.bool_)
    if not waits.any():
        return late
    pools = set(round_.starts.pool[: round_.starts.size[0]].tolist())
    given = {*(round_.site_pools[each].gpu_class for each in pools), *(each.gpu_class for each in made)}
    for number, gpu_class in enumerate(round_.gpu_classes):
        there = waits & (round_.last_class == number) if gpu_class in given else late[:0]
        if there.any():
            below = used[gpu_class] < round_.shares(gpu_class).own
            late |= there & below[classes.position]
    return late


def place(round_: Round, in_turn: BoolArray | None = None) -> tuple[Reservation, ...]:
    """Steps 3 to 5: hand out, each GPU class to the group whose turn it is, class by class of its jobs; rows ``in_turn`` are
    tried on their last GPU class beside those who name it first."""
    if not round_.board.nodes.pool_free.any():
        return ()  # nobody can start, and only where some could is anything reserved
    classes = round_.classes
    reservations: dict[str, Reservations] = {}
    made: list[Reservation] = []
    alone = len(round_.snapshot.table.rows) == 1
    failed = np.full((2, max(len(round_.snapshot.shapes), int(classes.alike.max(initial=0)) + 1)), -1, np.int64)
    for choice in range(round_.choices.shape[1]):
        for number, gpu_class in enumerate(round_.gpu_classes):
            rows = _asking(round_, choice, number, in_turn)
            if not len(rows):
                continue
            could = _could_start(round_, gpu_class, rows)
            if not could.any():
                if not _could_later(round_, choice, number):
                    continue
            elif alone and _start_alone(round_, gpu_class, rows, failed):
                continue
            failed[0] = -1  # what failed on one GPU class may be had on another
            if gpu_class not in reservations:
                reservations[gpu_class] = Reservations(round_, gpu_class, made)
            reserved = reservations[gpu_class]
            reserved.begin(choice, in_turn)
            rows = rows[could | reserved.might_ask(rows)]
            rows = rows[np.argsort(classes.position[rows], kind="stable")]
            blocked = 0
            while blocked >= 0:
                blocked = _hand_out(round_, gpu_class, round_.quotas(gpu_class), rows, failed)
                if blocked >= 0:
                    reserved.look(blocked)
                    rows = rows[~round_.later[gpu_class].done[rows]]
    return tuple(made)


def _asking(round_: Round, choice: int, number: int, in_turn: BoolArray | None) -> IntArray:
    """Rows that wait and are tried now on a GPU class: those of which it is the candidate of that number."""
    classes = round_.classes
    if in_turn is None:
        rows: IntArray = tried_on(classes, round_.choices, choice, number)
        return rows
    asks, last = round_.choices[:, choice] == number, round_.last_choice
    asks = asks | (in_turn & (round_.last_class == number)) if choice == 0 else asks & ~(in_turn & (last == choice))
    return np.flatnonzero(asks & (classes.next < classes.stop))


def _hand_out(round_: Round, gpu_class: str, quotas: Quotas, rows: IntArray, failed: IntArray) -> int:
    return hand_out(
        round_.board.nodes,
        quotas,
        round_.later[gpu_class],
        round_.classes,
        round_.lending,
        rows,
        *round_.venue_pools[gpu_class],
        failed,
        round_.starts,
    )


def _start_alone(round_: Round, gpu_class: str, rows: IntArray, failed: IntArray) -> bool:
    """Start the jobs of the one class that waits, whose turn it is whatever shares say; answer whether all have started.

    Those that have not are tried again in the ordinary way, which reserves nodes for the first of them.
    """
    failed[0] = -1
    _hand_out(round_, gpu_class, round_.quotas(gpu_class, alone=True), rows, failed)
    return bool((round_.classes.next[rows] == round_.classes.stop[rows]).all())


def _could_later(round_: Round, choice: int, number: int) -> bool:
    """Whether jobs of which a GPU class is a later candidate could start on it, and so on what is reserved by now."""
    classes = round_.classes
    named = (round_.choices[:, choice + 1 :] == number).any(axis=1)
    rows = np.flatnonzero(named & (classes.next < classes.stop))
    return len(rows) > 0 and bool(_could_start(round_, round_.gpu_classes[number], rows).any())


def _could_start(round_: Round, gpu_class: str, rows: IntArray) -> BoolArray:
    """Of ``rows``, those whose group may have so much and whose venue has so much free. A round only takes: others cannot."""
    usage = round_.usages[gpu_class]
    could: BoolArray = could_start(
        round_.classes,
        rows,
        available_all(usage),
        usage.guaranteed,
        usage.used,
        round_.board.nodes.pool_free,
        *round_.venue_pools[gpu_class],
    )
    return could
