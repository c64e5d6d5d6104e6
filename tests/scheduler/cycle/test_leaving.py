"""Who leaves when, in columns: the same as looking at each run."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from pressed import GPU_CLASS, NOW_MS, Pressed, federation_of, pressed

from scheduler.cycle.leaving import Leaving
from scheduler.cycle.round import Round
from scheduler.model.ids import SiteId


@given(pressed(), st.booleans(), st.data())
def test_runs_leave_when_each_is_gone_at_the_latest(facts: Pressed, has_strays: bool, data: st.DataObject) -> None:
    federation = federation_of(facts)
    for number, run in enumerate(facts.runs):
        end_ms = data.draw(st.sampled_from((None, NOW_MS - 1, NOW_MS, NOW_MS + 5, NOW_MS + 60_000)))
        site = SiteId(2) if has_strays and number == 0 else run.site
        federation.put_run(replace(run, expected_end_ms=end_ms, site=site))
    for run in facts.runs[3:4]:
        federation.drop_run(run.id)
    snapshot = federation.snapshot()
    round_ = Round(snapshot)
    leaving, tree = Leaving(round_, GPU_CLASS), round_.usages[GPU_CLASS].tree
    ends = {run: end for run in snapshot.runs.values() if (end := run.leaves_ms(NOW_MS)) is not None}
    for moment_ms in (NOW_MS - 1, NOW_MS, NOW_MS + 5, NOW_MS + 60_000):
        for group in snapshot.groups:
            gone = sum(run.gpus for run, end in ends.items() if run.group == group and end <= moment_ms)
            assert leaving.gone_by(tree.position(group), moment_ms) == gone
    (pool,) = round_.site_pools
    parts = leaving.of(0)
    told = [
        (end, node, *amounts) for end, node, *amounts in np.vstack((parts.end, parts.node, parts.amounts)).T.tolist()
    ]
    amounts_of = {run: (run.gpus_per_worker, run.cpus_per_worker, run.memory_mib_per_worker) for run in ends}
    assert sorted(told) == sorted(
        (end, pool.index[node], *(workers * amount for amount in amounts_of[run]))
        for run, end in ends.items()
        if run.site == pool.site
        for node, workers in run.gang
        if node in pool.index
    )
    assert parts.end.tolist() == sorted(parts.end.tolist())
