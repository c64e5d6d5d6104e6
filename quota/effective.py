"""What guarantees are worth: when capacity is lost they scale down in proportion, in whole GPUs."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from quota.apportionment import apportion
from quota.tree import ClassTree, IntArray


@dataclass(frozen=True, slots=True, eq=False)
class Guarantees:
    """Guarantees by position: as ``declared``, and as ``effective`` with the capacity there is."""

    declared: IntArray
    effective: IntArray

    @property
    def scaled_down(self) -> IntArray:
        """The positions whose guarantee is worth less than declared, in order."""
        return np.flatnonzero(self.effective < self.declared)


def effective_guarantees(tree: ClassTree, capacity: int | None) -> Guarantees:
    """Return every group's guarantee, declared and effective. ``capacity`` None: ample.

    Level by level, where the children's guarantees exceed what their parent's is worth, they are
    apportioned in proportion to themselves; first all get what lies in cells that can be held, if there is
    so much (after a lower limit of the root there may not be). They never scale up (HTCondor's rule for group quotas). At the
    root, whose guarantee is what there is, effective is the capacity up to the root's limit, and declared
    is 0.
    """
    effective = tree.guaranteed.copy()
    effective[0] = tree.ceiling[0] if capacity is None else min(max(capacity, 0), int(tree.ceiling[0]))
    for above, below, owners in tree.descents():
        declared = tree.guaranteed[below]
        floor = np.minimum(tree.shaped[below], declared)
        sums = np.bincount(owners, weights=floor, minlength=len(effective[above])).astype(np.int64)
        floor = np.where((sums <= effective[above])[owners], floor, 0)
        left = effective[above] - np.where(sums <= effective[above], sums, 0)
        effective[below] = floor + apportion(left, owners, np.maximum(declared - floor, 1), declared - floor)
    effective.setflags(write=False)
    return Guarantees(declared=tree.guaranteed, effective=effective)
