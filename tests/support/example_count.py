"""How many examples a property test looks at that says so itself: its own number in full runs, fewer in the inner loop."""

from __future__ import annotations

from hypothesis import settings

#: What a property looks at in a full run where it says nothing else.
USUAL = 60


def examples(count: int) -> int:
    """``count`` as the profile in force shortens it: all in full runs, at least one in the inner loop."""
    return max(1, count * settings().max_examples // USUAL)
