"""The packing question answered by trying everything: slow, obvious, and what ``packing`` must equal."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quota.cell_shape import Level
from quota.packing import CellKind
from quota.topology import Topology


def packs(topology: Topology, wanted: Mapping[CellKind, int], held: Collection[str] = ()) -> bool:
    """Return whether all ``wanted`` cells can be held at once beside the ``held`` domains.

    Tries every domain for every cell. Takes exponential time.
    """
    cells = [kind for kind in sorted(wanted, reverse=True) for _ in range(wanted[kind])]
    return _packs(topology, cells, frozenset(held), set())


def _packs(
    topology: Topology, cells: list[CellKind], held: frozenset[str], failed: set[tuple[int, frozenset[str]]]
) -> bool:
    if not cells:
        return True
    if (len(cells), held) in failed:
        return False
    for name in (*topology.domains, *topology.nodes):
        if not serves(topology, name, cells[0]) or any(overlap(topology, name, other) for other in held):
            continue
        if _packs(topology, cells[1:], held | {name}, failed):
            return True
    failed.add((len(cells), held))
    return False


def serves(topology: Topology, name: str, kind: CellKind) -> bool:
    """Return whether the domain or node called ``name`` would serve a cell of ``kind``, held or not."""
    level = topology.domains[name].level if name in topology.domains else Level.NODE
    return level is kind.level and healthy(topology, name, kind.gpu_class) >= kind.nodes


def healthy(topology: Topology, name: str, gpu_class: str) -> int:
    """Count the healthy nodes of a class in a domain."""
    return sum(
        node.healthy and node.gpu_class == gpu_class and name in around(topology, node.name)
        for node in topology.nodes.values()
    )


def around(topology: Topology, name: str) -> list[str]:
    """Return the names of all domains around one, itself first."""
    names = [name]
    above = topology.nodes[name].domain if name in topology.nodes else topology.domains[name].parent
    while above is not None:
        names.append(above)
        above = topology.domains[above].parent
    return names


def overlap(topology: Topology, first: str, second: str) -> bool:
    """Return whether two domains have a part in common: one lies in the other, or they are the same."""
    return first in around(topology, second) or second in around(topology, first)
