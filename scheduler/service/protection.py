"""Jobs keep to their group's data class when that changes: what placement looks at is what the agent will check."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from sqlalchemy import ColumnElement, select, update

from scheduler.model.data_class import effective_data_class
from scheduler.model.job_spec import JobSpec
from scheduler.model.job_state import TERMINAL_STATES
from scheduler.model.shape import DataClass
from scheduler.service.directory import GroupView
from scheduler.store import shapes
from scheduler.store.rows import chunks
from scheduler.store.shapes import ShapeIds
from scheduler.store.tables import jobs
from scheduler.store.transaction import WriteTransaction

_LIVE = jobs.c.state.not_in([state.value for state in TERMINAL_STATES])
#: Only the few jobs whose file may name a class of its own have to be read one by one.
_MAY_NAME_CLASS = jobs.c.spec.contains('"data_class"')


def protect_jobs(transaction: WriteTransaction, groups: Sequence[GroupView]) -> None:
    """Give the jobs of ``groups`` that have not ended the shapes that follow from their groups' classes now."""
    connection = transaction.connection
    for group in groups:
        mine = _LIVE & (jobs.c.group_id == group.id)
        plain = select(jobs.c.shape_id).where(mine, ~_MAY_NAME_CLASS).distinct()
        for shape_id in connection.execute(plain).scalars().all():
            _reshape(transaction, mine & ~_MAY_NAME_CLASS & (jobs.c.shape_id == shape_id), shape_id, group.data_class)
        named: dict[tuple[int, DataClass], list[int]] = {}
        for row in connection.execute(select(jobs.c.id, jobs.c.shape_id, jobs.c.spec).where(mine, _MAY_NAME_CLASS)):
            own = JobSpec.model_validate_json(row.spec).data_class
            named.setdefault((row.shape_id, effective_data_class(own, group.data_class)), []).append(row.id)
        for (shape_id, data_class), job_ids in named.items():
            for part in chunks(job_ids):
                _reshape(transaction, jobs.c.id.in_(part), shape_id, data_class)


def _reshape(transaction: WriteTransaction, which: ColumnElement[bool], shape_id: int, data_class: DataClass) -> None:
    (shape,) = shapes.by_id(transaction.connection, [shape_id]).values()
    if shape.data_class is data_class:
        return
    (new_id,) = ShapeIds().of(transaction, [replace(shape, data_class=data_class)])
    statement = update(jobs).where(which).values(shape_id=new_id, change=transaction.change)
    transaction.connection.execute(statement)
