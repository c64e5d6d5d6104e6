"""What a job asks for: the part of it that placement looks at, shared by all jobs that ask for the same."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Topology(StrEnum):
    """Levels of a domain path, from the tightest; ``ANY`` states no preference."""

    NODE = "node"
    LEAF = "leaf"
    SPINE = "spine"
    HALL = "hall"
    SITE = "site"
    ANY = "any"


class DataClass(StrEnum):
    """N2SF grades: classified, sensitive, open."""

    CLASSIFIED = "C"
    SENSITIVE = "S"
    OPEN = "O"


#: Priority classes users may name, and the number that orders them (higher first).
PRIORITY_CLASSES: dict[str, int] = {"low": -100, "normal": 0, "high": 100}


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One gang's request: ``workers`` equal workers, all or nothing.

    ``gpu_classes`` is any-of in order of preference; empty means any class. Memory is in MiB a worker. The workers lie within
    one domain of the ``required`` level, and of that of ``topology`` where they can.

    An elastic gang has ``workers`` at the least and goes on with up to ``workers_max``; None: there are never more.
    """

    workers: int
    gpus_per_worker: int
    cpus_per_worker: int
    memory_mib_per_worker: int
    gpu_classes: tuple[str, ...]
    topology: Topology
    data_class: DataClass
    preemptible: bool
    required: Topology = Topology.ANY
    workers_max: int | None = None

    @property
    def gpus(self) -> int:
        """GPUs of the whole gang, of an elastic one at the least."""
        return self.workers * self.gpus_per_worker

    @property
    def workers_most(self) -> int:
        """How many workers it may have."""
        return self.workers if self.workers_max is None else self.workers_max
