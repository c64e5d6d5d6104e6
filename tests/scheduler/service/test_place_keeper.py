"""Places of cells over a failover: whoever leads next has every cell where it was, though it would have chosen otherwise."""

from __future__ import annotations

from collections.abc import Mapping

import pytest
from runtime import ScriptedAgent, Stage, ended, node, runs_now

from quota.cell_shape import Cells, Level
from quota.cells import Right
from quota.topology import Place
from scheduler.cycle.federation import Federation
from scheduler.model.data_class import DEFAULT_POLICY
from scheduler.service.follow import Follower
from scheduler.service.loop import SchedulerLoop
from scheduler.service.quota_fact import written_cells
from scheduler.service.runtime import Runtime
from scheduler.store import cell_places, leadership, quotas

Places = Mapping[Place, Right]


@pytest.fixture
def runtime(on_both: Runtime) -> Runtime:
    """Each of them on both databases."""
    return on_both


@pytest.fixture
def agent(stage: Stage) -> ScriptedAgent:
    """Three leaves of two nodes."""
    agent = stage.agent(nodes=0)
    names = [(leaf, at) for leaf in range(3) for at in range(2)]
    agent.report_nodes(
        *(node(f"n{leaf}{at}", domain=("hall", "spine", f"leaf-{leaf}")) for leaf, at in names), version=2
    )
    return agent


def grant(stage: Stage, group: int, number: int, gpu_class: str = "h100") -> None:
    limits = {"limit": None, "borrowing_limit": None, "lending_limit": None}
    cells = written_cells((Cells(Level.LEAF, 2, number),) if number else ())
    stage.runtime.database.run(
        lambda each: quotas.put(
            each, group_id=group, gpu_class=gpu_class, guaranteed=16 * number, weight=1, cells=cells, **limits
        )
    )


def leading(stage: Stage) -> Places:
    """Places as the leader has them after a turn."""
    stage.turn()
    return stage.follower.federation.snapshot().cells.places


def in_record(stage: Stage) -> Places:
    with stage.runtime.database.read() as connection:
        return cell_places.every(connection)


def taken_over(stage: Stage) -> Places:
    """Another scheduler leads from now on; the places by which its first round goes."""
    leadership.release(stage.runtime.database, stage.fence)
    stage.fence, stage.loop = stage.lead("successor"), SchedulerLoop(stage.runtime, "successor")
    stage.follower = Follower(stage.runtime.database, stage.clock, DEFAULT_POLICY, stage.runtime.settings.preemption)
    return leading(stage)


def moved_to_the_last_leaf(stage: Stage, agent: ScriptedAgent) -> Places:
    """A cell is granted while gangs of others are on the first two leaves, which then end."""
    research, public = stage.group("research"), stage.group("public")
    jobs = stage.submit(public, 2, group="public", workers=2, gpus_per_worker=8)
    assert stage.turn() == 2
    grant(stage, research, 1)
    places = leading(stage)
    runs = [stage.run(job) for job in jobs]
    agent.sync(*(runs_now(run, stage.clock.now_ms()) for run in runs))
    agent.sync(*(ended(run, stage.clock.now_ms(), stage.clock.now_ms()) for run in runs))
    assert leading(stage) == places
    return places


def test_no_place_moves_when_another_scheduler_takes_over(
    stage: Stage, agent: ScriptedAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    places = moved_to_the_last_leaf(stage, agent)
    assert len(places) == 1
    assert in_record(stage) == places
    assert taken_over(stage) == places == in_record(stage)
    monkeypatch.setattr(Federation, "remember_cells", lambda *_: None)
    assert taken_over(stage) != places, "of itself it would have chosen another leaf"


def test_a_place_that_lost_nodes_or_whose_cell_is_taken_back_is_forgotten(stage: Stage, agent: ScriptedAgent) -> None:
    (place,) = moved_to_the_last_leaf(stage, agent)
    leaf = place.domain.rpartition("-")[2]
    broken = node(f"n{leaf}0", domain=("hall", "spine", f"leaf-{leaf}"), healthy=False)
    agent.report_nodes(broken, version=3, complete=False)
    (other,) = taken_over(stage)
    assert other != place
    assert in_record(stage).keys() == {other}
    grant(stage, stage.runtime.directories.newest().by_path["research"].id, 0)
    assert leading(stage) == in_record(stage) == {}


def test_a_leaf_that_is_a_place_of_two_gpu_classes_is_in_the_record_twice(stage: Stage) -> None:
    machines = [(gpu_class, at) for gpu_class in ("a100", "h100") for at in range(2)]
    domain = ("hall", "spine", "leaf")
    reports = [node(f"{gpu_class}-{at}", gpu_class=gpu_class, domain=domain) for gpu_class, at in machines]
    stage.agent(nodes=0).report_nodes(*reports, version=2)
    research, public = stage.group("research"), stage.group("public")
    grant(stage, research, 1)
    grant(stage, public, 1, "a100")
    holders = {place.gpu_class: right.group for place, right in leading(stage).items()}
    assert holders == {"a100": public, "h100": research}
    assert len({place.domain for place in in_record(stage)}) == 1
    assert taken_over(stage) == in_record(stage)
    grant(stage, public, 0, "a100")
    assert leading(stage) == in_record(stage)
    assert [place.gpu_class for place in in_record(stage)] == ["h100"]
