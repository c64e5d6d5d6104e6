"""On what grounds a job's run time is told, in words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from scheduler.model.words import Language


class RunTimeBasis(StrEnum):
    """Of whose like jobs, which are those of as many GPUs, the last two say how long it runs; or what else does."""

    PERSON = "person"
    GROUP = "group"
    SIZE = "size"  #: anybody's
    WALLTIME = "walltime"  #: nothing like it has succeeded yet: as long as it may run
    UNKNOWN = "unknown"  #: nor has it a walltime


_TEXTS: Mapping[RunTimeBasis, tuple[str, str]] = {
    RunTimeBasis.PERSON: (
        "같은 사람이 같은 GPU 수로 마지막에 성공한 작업 두 개까지의 평균",
        "the mean of its person's last two jobs of as many GPUs",
    ),
    RunTimeBasis.GROUP: (
        "같은 그룹이 같은 GPU 수로 마지막에 성공한 작업 두 개까지의 평균",
        "the mean of its group's last two jobs of as many GPUs",
    ),
    RunTimeBasis.SIZE: (
        "같은 GPU 수로 마지막에 성공한 작업 두 개까지의 평균",
        "the mean of anybody's last two jobs of as many GPUs",
    ),
    RunTimeBasis.WALLTIME: (
        "비슷한 작업이 아직 없어 walltime을 그대로 봅니다",
        "its walltime, since nothing like it has succeeded yet",
    ),
    RunTimeBasis.UNKNOWN: (
        "비슷한 작업도 walltime도 없습니다",
        "nothing like it has succeeded yet, and it has no walltime",
    ),
}


def basis_text(basis: RunTimeBasis, language: Language) -> str:
    """The basis in words, without a full stop."""
    korean, english = _TEXTS[basis]
    return korean if language == "ko" else english
