"""Row classes mirror their tables."""

from __future__ import annotations

import dataclasses

import pytest
from sqlalchemy import Table

from scheduler.store import (
    events,
    gpu_classes,
    groups,
    jobs,
    ledger,
    memberships,
    nodes,
    people,
    quotas,
    rows,
    runs,
    sites,
    tables,
    tokens,
)

ROW_CLASSES = {
    people.Person: tables.people,
    groups.Group: tables.groups,
    quotas.Quota: tables.quotas,
    memberships.Membership: tables.memberships,
    memberships.Operator: tables.operators,
    tokens.Token: tables.tokens,
    gpu_classes.GpuClass: tables.gpu_classes,
    sites.SiteRow: tables.sites,
    nodes.NodeRow: tables.nodes,
    jobs.JobRow: tables.jobs,
    runs.RunRow: tables.runs,
    events.Event: tables.events,
    ledger.LedgerRow: tables.ledger,
}


@pytest.mark.parametrize(("kind", "table"), ROW_CLASSES.items(), ids=lambda value: getattr(value, "__name__", ""))
def test_a_row_class_has_its_tables_columns_in_order(kind: type, table: Table) -> None:
    assert [field.name for field in dataclasses.fields(kind)] == [column.name for column in table.columns]


def test_a_list_is_cut_into_chunks_that_hold_everything() -> None:
    assert list(rows.chunks(range(7), 3)) == [[0, 1, 2], [3, 4, 5], [6]]
    assert list(rows.chunks([], 3)) == []
