"""Rows of nodes as rounds see them."""

from __future__ import annotations

from typing import Any

from scheduler.model.ids import NodeId, SiteId
from scheduler.model.site import Node


def node_fact(row: Any) -> Node:
    """A node; ``row`` has the columns of ``nodes`` that are read here."""
    return Node(
        id=NodeId(row.id),
        site_id=SiteId(row.site_id),
        name=row.name,
        pool=row.pool,
        gpu_class=row.gpu_class,
        gpus=row.gpus,
        cpus=row.cpus,
        memory_mib=row.memory_mib,
        domain=tuple(row.domain),
        healthy=row.healthy and row.aside_ms is None,
    )
