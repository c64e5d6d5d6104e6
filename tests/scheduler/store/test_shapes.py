"""Shapes as the record keeps them."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from scheduler.model.shape import DataClass, Shape, Topology
from scheduler.store.shapes import hash_of, request_of, shape_of

shapes = st.builds(
    Shape,
    workers=st.integers(1, 64),
    gpus_per_worker=st.integers(1, 8),
    cpus_per_worker=st.integers(1, 64),
    memory_mib_per_worker=st.integers(1, 4096),
    gpu_classes=st.sampled_from(((), ("h100",), ("h200", "h100"))),
    topology=st.sampled_from(Topology),
    data_class=st.sampled_from(DataClass),
    preemptible=st.booleans(),
    required=st.sampled_from(Topology),
    workers_max=st.none() | st.integers(65, 99),
)


@given(shapes)
def test_a_shape_reads_as_it_was_written(shape: Shape) -> None:
    assert shape_of(request_of(shape)) == shape


@given(shapes, shapes)
def test_shapes_have_the_same_hash_when_they_are_the_same(one: Shape, other: Shape) -> None:
    assert (hash_of(one) == hash_of(other)) == (one == other)
    assert hash_of(one) == hash_of(shape_of(request_of(one)))
