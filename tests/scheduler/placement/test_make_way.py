"""The compiled loop ends whom the plain one ends, for every gang that claims anything."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pressed import GPU_CLASS, Pressed, federation_of, pressed

from scheduler.cycle.entitlement import Claim
from scheduler.cycle.federation import Federation
from scheduler.cycle.in_the_way import InTheWay
from scheduler.cycle.round import Round
from scheduler.model.ids import SiteId
from scheduler.placement.displace_oracle import greedily
from scheduler.placement.make_way import Gang, make_way
from scheduler.placement.request import Request


def on_two_sites(drawn: Pressed) -> Federation:
    """Every other node stands at a second site, and so do the runs that are on such nodes alone; others stay at the first."""
    nodes = [replace(node, site_id=SiteId(1 + node.id % 2)) for node in drawn.nodes]
    federation = federation_of(replace(drawn, nodes=tuple(nodes), runs=()))
    site = federation.snapshot().sites[SiteId(1)]
    federation.put_site(replace(site, id=SiteId(2), name="other"))
    for run in drawn.runs:
        sites = {1 + node % 2 for node, _ in run.gang}
        federation.put_run(replace(run, site=SiteId(2)) if sites == {2} else run)
    return federation


@given(pressed(), st.data())
def test_the_compiled_loop_ends_whom_the_plain_one_ends(drawn: Pressed, data: st.DataObject) -> None:
    round_ = Round(on_two_sites(drawn).snapshot())
    usage, shares, table = round_.usages[GPU_CLASS], round_.shares(GPU_CLASS), round_.snapshot.table
    way = InTheWay(round_.snapshot, round_.site_pools, GPU_CLASS, usage)
    numbers = np.flatnonzero(data.draw(st.lists(st.booleans(), min_size=len(way), max_size=len(way))))
    for row in table.rows.tolist():
        key, position = table.key(row), int(round_.classes.position[row])
        shape = round_.snapshot.shapes[key.shape]
        request = Request.of(shape)
        claim = Claim(usage, shares, key.group, request.gpus_in_all, firm=not shape.preemptible, run_of=way.run)
        for pool, site_pool in enumerate(round_.site_pools):
            order = way.ordered(numbers, pool, with_others=data.draw(st.booleans()))
            nodes = len(site_pool.node_ids)
            usable = np.array(data.draw(st.lists(st.booleans(), min_size=nodes, max_size=nodes)), np.bool_)
            gang = Gang(
                request.workers, request.gpus, request.cpus, request.memory_mib, position, not shape.preemptible
            )
            free, needed = site_pool.soon.copy(), np.empty(len(order), np.int64)
            count = make_way(
                free, usable, pool, gang, way.columns, order, round_.quotas(GPU_CLASS), shares.share, needed
            )
            plain = greedily(site_pool.soon, request, way.occupants(order, pool), claim, usable)
            assert (free == site_pool.soon).all()
            assert (count < 0) == (plain is None)
            if plain is not None:
                assert [way.occupant(number, pool) for number in needed[:count].tolist()] == plain
