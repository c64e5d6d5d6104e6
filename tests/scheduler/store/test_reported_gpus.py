"""How many GPUs sites reported, and from when on."""

from __future__ import annotations

from alembic import command
from store_rows import add_site

from scheduler.clock import ManualClock
from scheduler.model.wire import NodeReport
from scheduler.store import nodes, reported_gpus
from scheduler.store.database import Database
from scheduler.store.migrate import configuration


def node(name: str, gpus: int = 8, gpu_class: str = "h100") -> NodeReport:
    return NodeReport(name=name, pool="p", gpu_class=gpu_class, gpus=gpus, cpus=64, memory_mib=1024)


def put(database: Database, site_id: int, *reports: NodeReport) -> None:
    database.run(lambda transaction: nodes.put(transaction, site_id, reports))


def told(database: Database, from_ms: int = 0) -> list[tuple[int, str, int, int, int]]:
    with database.read() as connection:
        return sorted(tuple(each) for each in reported_gpus.since(connection, from_ms))


def test_every_change_of_a_site_s_sum_is_a_step_and_nothing_else_is(database: Database, clock: ManualClock) -> None:
    one, two = add_site(database, "one").id, add_site(database, "two").id
    begin_ms = clock.now_ms()
    put(database, one, node("n1"), node("n2"))
    put(database, two, node("n1", 4))
    clock.advance(1)
    put(database, one, node("n1").model_copy(update={"healthy": False}))
    put(database, one, node("n2", gpu_class="a100"))
    clock.advance(1)
    database.run(lambda transaction: nodes.remove(transaction, one, ["n1"]))
    clock.advance(1)
    put(database, one, node("n1"))
    assert told(database) == [
        (one, "a100", begin_ms + 1_000, 8, 8),
        (one, "h100", begin_ms, 16, 8),
        (one, "h100", begin_ms + 1_000, 8, 8),
        (one, "h100", begin_ms + 2_000, 0, 0),
        (one, "h100", begin_ms + 3_000, 8, 8),
        (two, "h100", begin_ms, 4, 4),
    ]
    assert told(database, begin_ms + 2_500) == [
        (one, "a100", begin_ms + 1_000, 8, 8),
        (one, "h100", begin_ms + 2_000, 0, 0),
        (one, "h100", begin_ms + 3_000, 8, 8),
        (two, "h100", begin_ms, 4, 4),
    ]


def test_nodes_of_other_sizes_are_a_step_too(database: Database, clock: ManualClock) -> None:
    site, begin_ms = add_site(database).id, clock.now_ms()
    put(database, site, node("n1", 8), node("n2", 4))
    clock.advance(1)
    put(database, site, node("n1", 6), node("n2", 6))
    assert told(database) == [(site, "h100", begin_ms, 12, 8), (site, "h100", begin_ms + 1_000, 12, 6)]


def test_a_server_whose_clock_is_behind_writes_nothing_into_the_past(database: Database, clock: ManualClock) -> None:
    site, begin_ms = add_site(database).id, clock.now_ms()
    put(database, site, node("n1"))
    clock.jump(-60)
    put(database, site, node("n2"))
    assert told(database) == [(site, "h100", begin_ms, 16, 8)]


def test_of_the_time_before_steps_were_written_the_most_is_taken_and_the_present_is_noted(
    database: Database, clock: ManualClock
) -> None:
    site = add_site(database).id
    put(database, site, node("n1"), node("gone"))
    database.run(lambda transaction: nodes.remove(transaction, site, ["gone"]))
    with database.write() as transaction:
        config = configuration()
        config.attributes["connection"] = transaction.connection
        command.downgrade(config, "0013")
    database.migrate()
    assert told(database) == [(site, "h100", 0, 16, 8)]
    with database.read() as connection:
        assert reported_gpus.not_noted(connection) == [site]
    for _ in range(2):
        database.run(lambda transaction: reported_gpus.note(transaction, site))
        assert told(database) == [(site, "h100", 0, 16, 8), (site, "h100", clock.now_ms(), 8, 8)]
    with database.read() as connection:
        assert reported_gpus.not_noted(connection) == []
