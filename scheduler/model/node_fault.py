"""When a node is set aside: the bad-node memory's one rule, with its numbers.

A run that ends for a cause that is a node's (its start failed, the node or the engine's process there was lost) speaks
against one node where the site says which, else against each of its gang's nodes and the site itself alike: a failure
that has n suspects counts 1/n against each. A run that was told to stop speaks against nobody, and neither does any
end of a program's own doing.

What ends on a node within ten minutes of the first is **one incident**, which counts as its heaviest failure: a node that
is lost once takes everything on it along. **A node is set aside when, within 24 hours, its incidents count two or more,
and still one or more without those in which any one person has a run.** So no person's programs alone ever set a node
aside, not even by killing what others have there beside them.

Two a day is far from chance: published clusters see 2.3 to 6.5 node failures in a thousand node-days (Kokolis et al.,
"Revisiting Reliability in Large-Scale Machine Learning Research Clusters", 2024, which also finds that a percent of nodes,
the lemons, causes the failures of many jobs; here Llama 3's 3.8 and a B200 cluster's 2.9 lie between): of independent failures at
the highest rate two fall on one node in a day in 2 of 100,000 node-days, less than once a day on 32,500 nodes.

The rule sets aside a tenth of a site's nodes at the most, rounded up: when more fail at once it is the site, and its
operators are told instead. Nothing but an operator's word brings a node back: that it fails no more while nothing runs on it
proves nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from scheduler.model.job_state import EndCause

WINDOW_MS = 24 * 3_600_000
INCIDENT_MS = 10 * 60_000
#: What counts as one whole failure; a multiple of every number of suspects that counts at all.
WHOLE = 720_720
WEIGHT_MIN = 2 * WHOLE
WEIGHT_WITHOUT_ANYONE_MIN = WHOLE
#: A failure that is shared among more speaks against none of them.
SUSPECTS_MAX = 16
#: One in so many of a site's nodes, rounded up, is set aside by the rule.
ONE_IN = 10

NODE_CAUSES = frozenset({EndCause.START_FAILED, EndCause.NODE_LOST, EndCause.DRIVER_LOST})


@dataclass(frozen=True, slots=True)
class Failure:
    """A run of ``person`` that failed at ``at_ms``; as many as ``suspects`` may have brought it about."""

    at_ms: int
    person: int
    suspects: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """What speaks against a node: its failures within the window, the incidents that they are, and of how many people."""

    failures: int
    incidents: int
    people: int
    is_bad: bool


def suspects_of(
    cause: EndCause, gang: Sequence[tuple[int, str]], named: str | None, *, told_to_stop: bool
) -> tuple[tuple[int, ...], int]:
    """Which nodes of ``gang`` (id, name) an end speaks against, and how many suspects there are in all.

    ``named`` is the node that the site names; one that is not of the gang is taken for none.
    """
    if told_to_stop or cause not in NODE_CAUSES:
        return (), 0
    known = [node for node, name in gang if name == named]
    if known:
        return (known[0],), 1
    suspects = len(gang) + 1
    return (tuple(node for node, _ in gang), suspects) if suspects <= SUSPECTS_MAX else ((), 0)


def standing(failures: Iterable[Failure], now_ms: int, trusted_ms: int | None = None) -> Standing:
    """How a node stands at a moment. Failures up to ``trusted_ms``, when it was returned, count no more."""
    after_ms = max(now_ms - WINDOW_MS, -1 if trusted_ms is None else trusted_ms)
    counted = sorted((each for each in failures if after_ms < each.at_ms <= now_ms), key=lambda each: each.at_ms)
    weights: list[int] = []
    present: list[set[int]] = []
    began_ms = -INCIDENT_MS
    for each in counted:
        if not weights or each.at_ms >= began_ms + INCIDENT_MS:
            began_ms = each.at_ms
            weights.append(0)
            present.append(set())
        weights[-1] = max(weights[-1], WHOLE // each.suspects)
        present[-1].add(each.person)
    total, of_person = sum(weights), dict[int, int]()
    for weight, people in zip(weights, present, strict=True):
        for person in people:
            of_person[person] = of_person.get(person, 0) + weight
    without_anyone = total - max(of_person.values(), default=0)
    return Standing(
        failures=len(counted),
        incidents=len(weights),
        people=len(of_person),
        is_bad=total >= WEIGHT_MIN and without_anyone >= WEIGHT_WITHOUT_ANYONE_MIN,
    )


def asides_max(nodes: int) -> int:
    """How many of a site's nodes the rule sets aside at the most."""
    return -(-nodes // ONE_IN)
