"""On what grounds a job's run time is told, in words."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from scheduler.model.words import Language

#: Between these lies what administrators say of how fast a GPU class is.
SPEED_MIN = 0.001
SPEED_MAX = 1000


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


class ClassBasis(StrEnum):
    """How what like jobs took is told of one GPU class."""

    MEASURED = "measured"  #: they ran on it
    DECLARED = "declared"  #: they ran on another one, and the job's file says how fast it runs on either
    GENERAL = "general"  #: they ran on another one, and administrators say how fast either is
    ALL = "all"  #: as they ran on all classes together


_CLASS_TEXTS: Mapping[ClassBasis, tuple[str, str]] = {
    ClassBasis.MEASURED: ("{gpu_class}에서 잰 시간", "measured on {gpu_class}"),
    ClassBasis.DECLARED: (
        "다른 종류에서 잰 시간을 작업 파일의 speeds로 {gpu_class}에 맞게 환산",
        "measured on another class and converted to {gpu_class} by the speeds of its file",
    ),
    ClassBasis.GENERAL: (
        "다른 종류에서 잰 시간을 관리자가 정한 속도로 {gpu_class}에 맞게 환산",
        "measured on another class and converted to {gpu_class} by the administrators' speeds",
    ),
    ClassBasis.ALL: ("모든 GPU 종류를 합쳐서 잰 시간", "measured on all GPU classes together"),
}


def basis_text(
    basis: RunTimeBasis, language: Language, class_basis: ClassBasis | None = None, gpu_class: str | None = None
) -> str:
    """The basis in words, without a full stop: whose jobs tell, and, where that is known, how they tell of ``gpu_class``."""
    parts = [_TEXTS[basis]] if class_basis is None else [_TEXTS[basis], _CLASS_TEXTS[class_basis]]
    told = (korean if language == "ko" else english for korean, english in parts)
    return ", ".join(told).format(gpu_class=gpu_class)
