"""What placement is asked, and what it answers."""

from __future__ import annotations

from dataclasses import dataclass

from scheduler.model.shape import Shape, Topology

#: Levels of a domain path, outermost first; a node's path may be any prefix of (hall, spine, leaf).
LEVELS = (Topology.HALL, Topology.SPINE, Topology.LEAF)

#: All levels, the tightest first.
TIGHTEST_FIRST = (Topology.NODE, Topology.LEAF, Topology.SPINE, Topology.HALL, Topology.SITE)


@dataclass(frozen=True, slots=True)
class Request:
    """A gang as placement sees it: ``workers`` equal workers, all or nothing. Memory is in MiB."""

    workers: int
    gpus: int
    cpus: int
    memory_mib: int
    topology: Topology
    required: Topology = Topology.ANY

    @staticmethod
    def of(shape: Shape) -> Request:
        """The part of a shape that decides about nodes."""
        return Request(
            shape.workers,
            shape.gpus_per_worker,
            shape.cpus_per_worker,
            shape.memory_mib_per_worker,
            shape.topology,
            shape.required,
        )

    @property
    def gpus_in_all(self) -> int:
        """GPUs of the whole gang."""
        return self.workers * self.gpus

    @property
    def loosest(self) -> Topology:
        """The level within one domain of which the gang has to lie. One worker is together on any node."""
        return Topology.SITE if self.workers == 1 or self.required is Topology.ANY else self.required

    def levels(self) -> tuple[Topology, ...]:
        """The levels to try, the preferred one first, down to the loosest that is allowed."""
        last = TIGHTEST_FIRST.index(self.loosest)
        if self.workers == 1 or self.topology is Topology.ANY:
            return (TIGHTEST_FIRST[last],)
        return TIGHTEST_FIRST[min(TIGHTEST_FIRST.index(self.topology), last) : last + 1]


#: (node's index in its pool, workers), in the order of ranks.
Placement = tuple[tuple[int, int], ...]
