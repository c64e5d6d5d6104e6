"""Korean for what the schema finds wrong; English comes from the schema itself."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

_TEXTS: Mapping[str, str] = {
    "missing": "꼭 있어야 하는 항목입니다",
    "extra_forbidden": "모르는 항목입니다. 철자를 확인하거나 지우십시오",
    "string_type": "문자열이어야 합니다",
    "string_too_short": "너무 짧습니다(최소 {min_length}자)",
    "string_too_long": "너무 깁니다(최대 {max_length}자)",
    "string_pattern_mismatch": "형식이 맞지 않습니다({pattern})",
    "int_type": "정수여야 합니다",
    "int_parsing": "정수여야 합니다",
    "int_from_float": "소수가 아닌 정수여야 합니다",
    "int_parsing_size": "수가 너무 큽니다",
    "float_parsing": "수여야 합니다",
    "float_type": "수여야 합니다",
    "bool_type": "true 또는 false여야 합니다",
    "bool_parsing": "true 또는 false여야 합니다",
    "greater_than_equal": "{ge} 이상이어야 합니다",
    "greater_than": "{gt}보다 커야 합니다",
    "less_than_equal": "{le} 이하여야 합니다",
    "less_than": "{lt}보다 작아야 합니다",
    "enum": "다음 중 하나여야 합니다: {expected}",
    "literal_error": "다음 중 하나여야 합니다: {expected}",
    "list_type": "목록이어야 합니다",
    "tuple_type": "목록이어야 합니다",
    "dict_type": "이름과 값의 모음이어야 합니다",
    "model_type": "이름과 값의 모음이어야 합니다",
    "model_attributes_type": "이름과 값의 모음이어야 합니다",
    "too_short": "너무 적습니다(최소 {min_length}개)",
    "too_long": "너무 많습니다(최대 {max_length}개)",
}


def korean_problem(error: Mapping[str, Any]) -> str:
    """Korean for one error of the schema; errors of our own checks are told as a wrong value with their English mend."""
    text = _TEXTS.get(str(error["type"]))
    if text is None:
        mend = str(error.get("msg", "")).removeprefix("Value error, ")
        return f"값이 올바르지 않습니다({mend})"
    context = {name: str(value) for name, value in (error.get("ctx") or {}).items()}
    try:
        return text.format(**context)
    except (KeyError, IndexError):
        return text.split("(", 1)[0]
