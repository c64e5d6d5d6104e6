"""What is wrong with a policy file, in both languages, with what would mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_KOREAN: Mapping[str, str] = {
    "missing": "꼭 있어야 하는 항목입니다",
    "extra_forbidden": "모르는 항목입니다. 지우거나 이름을 고치십시오",
    "string_type": "글이어야 합니다. 따옴표로 묶으십시오",
    "string_too_long": "너무 깁니다(최대 {max_length}자)",
    "string_pattern_mismatch": "research.vision처럼 이름을 점으로 이어 쓰십시오",
    "int_type": "정수여야 합니다",
    "int_parsing": "정수여야 합니다",
    "int_from_float": "소수가 아닌 정수여야 합니다",
    "float_type": "수여야 합니다",
    "float_parsing": "수여야 합니다",
    "finite_number": "유한한 수여야 합니다",
    "bool_type": "true 또는 false여야 합니다",
    "bool_parsing": "true 또는 false여야 합니다",
    "greater_than_equal": "{ge} 이상이어야 합니다",
    "less_than_equal": "{le} 이하여야 합니다",
    "enum": "다음 중 하나여야 합니다: {expected}",
    "tuple_type": "목록이어야 합니다",
    "dict_type": "이름과 값의 모음이어야 합니다",
    "model_type": "이름과 값의 모음이어야 합니다",
    "duration": "90s, 1h30m, 2d, 02:30:00처럼 쓰십시오",
    "rate": "GPU 시간당 크레딧을 1.25나 5/4처럼 쓰십시오(최대 {most})",
}
#: English where the schema's own words say no mend.
_ENGLISH: Mapping[str, str] = {"extra_forbidden": "there is no such field: remove it or mend its name"}

#: What the file's own rules say, as they say it.
_RULES: Mapping[str, str] = {
    "to_seconds has to be after from_seconds": "to_seconds는 from_seconds보다 뒤여야 합니다",
    "every_seconds repeats a window: give its to_seconds": "every_seconds는 창을 되풀이합니다. to_seconds도 쓰십시오",
    "give a calendar or from_seconds, to_seconds and every_seconds, not both": (
        "calendar와 from_seconds·to_seconds·every_seconds 가운데 한쪽만 쓰십시오"
    ),
    "priority_floor is low, normal or high": "priority_floor는 low, normal, high 중 하나입니다",
    "from_seconds has to be no earlier than at_seconds": "from_seconds는 at_seconds보다 앞설 수 없습니다",
    "recalls and maintenance have to leave runs their grace_seconds": (
        "회수와 점검은 실행에 grace_seconds만큼의 시간을 주어야 합니다"
    ),
    "round_cost: where nodes are taken back, rounds have to be on time": (
        "round_cost: 노드를 돌려받는 곳에서는 라운드가 제때 돌아야 하므로 함께 쓸 수 없습니다"
    ),
    "every_seconds has to be no shorter than the window": "every_seconds는 창의 길이보다 짧을 수 없습니다",
    "by_seconds has to be no earlier than at_seconds": "by_seconds는 at_seconds보다 앞설 수 없습니다",
    "until_seconds has to be after by_seconds": "until_seconds는 by_seconds보다 뒤여야 합니다",
    "until_seconds has to be after at_seconds": "until_seconds는 at_seconds보다 뒤여야 합니다",
    "speeds go with neither a baseline nor nodes that are taken back: leave one out": (
        "speeds는 baseline이나 돌려받는 노드와 함께 쓸 수 없습니다. 한쪽을 빼십시오"
    ),
    "write LEVEL:NODES=NUMBER, as in leaf:4=2 or node=8": "leaf:4=2나 node=8처럼 LEVEL:NODES=NUMBER로 쓰십시오",
    "groups: a path is given twice": "groups: 같은 경로가 두 번 있습니다. 하나만 남기십시오",
}


def problem(error: Mapping[str, Any]) -> tuple[str, str]:
    """One error of the schema in English and in Korean, each with its field in front."""
    field = ".".join(str(part) for part in error["loc"])
    kind, message = str(error["type"]), str(error["msg"])
    english = _ENGLISH.get(kind, message)
    context = {name: str(value) for name, value in (error.get("ctx") or {}).items()}
    known = _RULES.get(message.removeprefix("Value error, ")) or _KOREAN.get(kind)
    korean = f"값이 올바르지 않습니다({message})" if known is None else known.format(**context)
    front = f"{field}: " if field else ""
    return front + english, front + korean
