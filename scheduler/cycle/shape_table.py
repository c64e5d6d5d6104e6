"""Shapes by id, as objects and as columns."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np

from scheduler.model.ids import ShapeId
from scheduler.model.shape import Shape
from scheduler.placement.board import LEVEL_NUMBERS
from scheduler.placement.pool import IntArray
from scheduler.placement.request import Request

WORKERS, GPUS, CPUS, MEMORY, LEVEL, LOOSEST, FIRM, CHOICE, WORKERS_MOST = range(9)


class ShapeTable(Mapping[ShapeId, Shape]):
    """Shapes that are only ever added to. ``columns`` is (9, index): workers, GPUs, CPUs and memory a worker, the level that
    is preferred and the loosest allowed, whether it cannot be preempted, the number of its ``gpu_classes`` in ``choices``, and
    how many workers it may have."""

    def __init__(self) -> None:
        self._shapes: dict[ShapeId, Shape] = {}
        self._index = np.zeros(16, np.int64)
        self._columns = np.zeros((9, 16), np.int64)
        self._choices: dict[tuple[str, ...], int] = {}
        self._any_elastic = False

    def __getitem__(self, shape_id: ShapeId) -> Shape:
        return self._shapes[shape_id]

    def __iter__(self) -> Iterator[ShapeId]:
        return iter(self._shapes)

    def __len__(self) -> int:
        return len(self._shapes)

    @property
    def columns(self) -> IntArray:
        """By index."""
        return self._columns[:, : len(self._shapes)]

    @property
    def choices(self) -> tuple[tuple[str, ...], ...]:
        """Every ``gpu_classes`` of a shape, by number."""
        return tuple(self._choices)

    @property
    def any_elastic(self) -> bool:
        """Whether jobs of some shape may have more workers than they have to."""
        return self._any_elastic

    def indices(self, shape_ids: IntArray) -> IntArray:
        """The columns' index of each id."""
        found: IntArray = self._index[shape_ids]
        return found

    def put(self, shape_id: ShapeId, shape: Shape) -> None:
        """Know a shape. An id always means the same shape."""
        known = self._shapes.get(shape_id)
        if known is not None:
            assert known == shape, shape_id
            return
        at = len(self._shapes)
        while shape_id >= len(self._index):
            self._index = np.concatenate([self._index, np.zeros_like(self._index)])
        if at == self._columns.shape[1]:
            self._columns = np.concatenate([self._columns, np.zeros_like(self._columns)], axis=1)
        request = Request.of(shape)
        self._shapes[shape_id] = shape
        self._index[shape_id] = at
        self._any_elastic |= shape.workers_most > request.workers
        self._columns[:, at] = (
            request.workers,
            request.gpus,
            request.cpus,
            request.memory_mib,
            LEVEL_NUMBERS[request.levels()[0]],
            LEVEL_NUMBERS[request.loosest],
            not shape.preemptible,
            self._choices.setdefault(shape.gpu_classes, len(self._choices)),
            shape.workers_most,
        )

    def adding(self, shape: Shape) -> tuple[ShapeTable, ShapeId]:
        """A table with one more shape, under an id that nobody else has."""
        twin = ShapeTable()
        twin._shapes, twin._choices = dict(self._shapes), dict(self._choices)
        twin._index, twin._columns = self._index.copy(), self._columns.copy()
        twin._any_elastic = self._any_elastic
        shape_id = ShapeId(max(self._shapes, default=0) + 1)
        twin.put(shape_id, shape)
        return twin, shape_id
