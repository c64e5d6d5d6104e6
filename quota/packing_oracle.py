"""The packing question answered by trying everything: slow, obvious, and what ``packing`` must equal."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from quota.cell_shape import Level
from quota.packing import CellKind
from quota.topology import Place, Topology


def packs(topology: Topology, wanted: Mapping[CellKind, int], held: Collection[Place] = ()) -> bool:
    """Return whether all ``wanted`` cells can be held at once beside the ``held`` places.

    Tries every domain for every cell. Takes exponential time.
    """
    cells = [kind for kind in sorted(wanted, reverse=True) for _ in range(wanted[kind])]
    return _packs(topology, cells, frozenset(held), set())


def _packs(
    topology: Topology, cells: list[CellKind], held: frozenset[Place], failed: set[tuple[int, frozenset[Place]]]
) -> bool:
    if not cells:
        return True
    if (len(cells), held) in failed:
        return False
    for name in (*topology.domains, *topology.nodes):
        place = Place(cells[0].gpu_class, name)
        if not serves(topology, name, cells[0]) or any(overlap(topology, place, other) for other in held):
            continue
        if _packs(topology, cells[1:], held | {place}, failed):
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


def overlap(topology: Topology, first: Place, second: Place) -> bool:
    """Return whether two places can have nodes in common: they are of one class, and one domain is or lies in the other."""
    inside = first.domain in around(topology, second.domain) or second.domain in around(topology, first.domain)
    return inside and first.gpu_class == second.gpu_class
