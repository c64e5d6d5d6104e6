"""The commands below ``dure site``, from all the modules that have some."""

from __future__ import annotations

from scheduler.cli import nodes, recalls, site_blocks, usage
from scheduler.cli.sites import site_app

__all__ = ["site_app"]

site_app.command("recall")(recalls.recall_create)
site_app.command("owed")(usage.site_owed)
site_app.command("events")(nodes.site_events)
site_app.add_typer(nodes.node_app, name="node")
site_app.add_typer(site_blocks.block_app, name="block")
