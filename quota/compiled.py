"""Compiled functions: numba's nopython code, kept between processes where a folder for it can be written.

A function that calls another compiled one stands in the same file: what is kept is told stale by the file it is from.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar, cast

from numba import njit

F = TypeVar("F", bound=Callable[..., object])


def compiled(function: F) -> F:
    """Compile ``function`` when it is first called. Arguments are arrays, numbers and named tuples of them."""
    try:
        return cast(F, njit(function, cache=True))
    except RuntimeError:  # an installation that nobody may write to, and no home either
        return cast(F, njit(function))
