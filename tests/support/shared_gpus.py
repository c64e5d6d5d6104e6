"""Small nodes whose GPUs are shared, and tasks for them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from hypothesis import strategies as st

from scheduler.placement.fragmentation import Free, Task
from scheduler.placement.fragmentation_oracle import NodeFacts

FREE_SHARES = (0, 190, 470, 500, 530, 810, 1000)


@st.composite
def tasks(draw: st.DrawFn) -> Task:
    """A task: of cores alone, sharing a GPU, or of whole ones."""
    gpus = draw(st.sampled_from((0, 1, 1, 1, 2, 4)))
    share = 0 if gpus == 0 else draw(st.sampled_from((160, 470, 500, 810, 1000))) if gpus == 1 else 1000
    return Task(gpus, share, draw(st.sampled_from((0, 2000, 3152, 12000))), draw(st.sampled_from((0, 1024, 9000))))


@st.composite
def nodes(draw: st.DrawFn) -> NodeFacts:
    """A node of at most four GPUs, somehow in use."""
    share = draw(st.lists(st.sampled_from(FREE_SHARES), min_size=1, max_size=4))
    return NodeFacts(
        tuple(share), draw(st.sampled_from((0, 3152, 16000, 40000))), draw(st.sampled_from((500, 9000, 64000)))
    )


def free_of(standing: Sequence[NodeFacts]) -> Free:
    """The nodes as columns."""
    most = max(len(node.share) for node in standing)
    return Free(
        share=np.array([node.share + (0,) * (most - len(node.share)) for node in standing], dtype=np.int64),
        gpus=np.array([len(node.share) for node in standing], dtype=np.int64),
        cpus=np.array([node.cpus for node in standing], dtype=np.int64),
        memory=np.array([node.memory for node in standing], dtype=np.int64),
        change=np.zeros(len(standing), dtype=np.int64),
    )


def facts_of(free: Free) -> list[NodeFacts]:
    """The nodes of columns."""
    return [
        NodeFacts(tuple(int(each) for each in share[:gpus]), int(cpus), int(memory))
        for share, gpus, cpus, memory in zip(free.share, free.gpus, free.cpus, free.memory, strict=True)
    ]
