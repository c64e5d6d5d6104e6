"""Sites, their nodes, and what a site's contract says about security and supervision."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

from scheduler.model.ids import NodeId, SiteId
from scheduler.model.shape import Topology


class SiteState(StrEnum):
    """What new work a site takes. Whether its agent is heard is a matter of time, not of this state."""

    ACTIVE = "active"
    CORDONED = "cordoned"  #: nothing new; what runs goes on
    DRAINING = "draining"  #: nothing new; the site is meant to become empty
    STOPPED = "stopped"  #: everything of Dure's on it was ended at once


class Csap(StrEnum):
    """Cloud security assurance grades, from none to high."""

    NONE = "none"
    LOW = "low"
    MID = "mid"
    HIGH = "high"


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityGrade:
    """What a site's contract says about whom it may serve."""

    csap: Csap = Csap.NONE
    state_facility: bool = False
    classified_network: bool = False
    isolates_users: bool = False
    #: the one trust domain served by a site that does not isolate its users
    trust_domain: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """One cluster behind one agent, as rounds see it."""

    id: SiteId
    name: str
    state: SiteState
    security: SecurityGrade
    #: the agent was heard within its lease, so new work may be sent
    reachable: bool
    #: how many nodes of a leaf take work at a time, by GPU class; the others are spares (``cycle.spares``)
    block_nodes: Mapping[str, int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Node:
    """One machine of a pool. ``domain`` is its path below the site, outermost first: (hall, spine, leaf), any prefix."""

    id: NodeId
    site_id: SiteId
    name: str
    pool: str
    gpu_class: str
    gpus: int
    cpus: int
    memory_mib: int
    domain: tuple[str, ...]
    healthy: bool

    def domain_at(self, level: Topology) -> tuple[str, ...]:
        """Its domain of a level; a path that does not reach so far is a domain of its own."""
        if level is Topology.NODE:
            return (*self.domain, self.name)
        return self.domain[: _DEPTHS.get(level, 0)]


_DEPTHS = {Topology.HALL: 1, Topology.SPINE: 2, Topology.LEAF: 3}
