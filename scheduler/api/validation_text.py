"""What the schema finds wrong, in both languages, with what would mend it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.api.schemas import LABEL_PATTERN, PERSON_PATTERN, SLUG_PATTERN, TRUST_DOMAIN_PATTERN, WHY_PATTERN
from scheduler.model.array_range import ARRAY_PATTERN
from scheduler.model.job_spec import (
    CHECKPOINT_PATTERN,
    DIGEST_PATTERN,
    GPU_CLASS_PATTERN,
    GROUP_PATH_PATTERN,
    JOB_NAME_PATTERN,
)

_TEXTS: Mapping[str, str] = {
    "missing": "꼭 있어야 하는 항목입니다",
    "extra_forbidden": "모르는 항목입니다. 철자를 확인하거나 지우십시오",
    "string_type": "글이어야 합니다. 수나 예·아니요라면 따옴표로 묶으십시오",
    "string_too_short": "너무 짧습니다(최소 {min_length}자)",
    "string_too_long": "너무 깁니다(최대 {max_length}자)",
    "int_type": "정수여야 합니다",
    "int_parsing": "정수여야 합니다",
    "int_from_float": "소수가 아닌 정수여야 합니다",
    "int_parsing_size": "수가 너무 큽니다",
    "float_parsing": "수여야 합니다",
    "float_type": "수여야 합니다",
    "finite_number": "끝이 있는 수여야 합니다",
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
    "duration": "90s, 1h30m, 2d, 02:30:00처럼 쓰십시오",
    "deadline": "2026-12-24T18:00(한국 시간, 또는 시차를 붙여)이나, 제출 뒤 얼마 안인지 12h처럼 쓰십시오",
    "memory": "512MiB, 64GiB, 1TiB처럼 쓰십시오",
    "choice": "다음 중 하나를 고르십시오: {known}",
    "repeated": "GPU 종류는 한 번씩만 쓰십시오",
    "speed_elsewhere": "speeds: {name}은(는) gpu_classes에 없습니다. 거기에도 쓰거나 속도를 빼십시오",
    "variable_name": "{name}은(는) 변수 이름이 될 수 없습니다. 영문자, 숫자, _만 쓰십시오",
    "variable_reserved": "DURE_로 시작하는 이름은 연합이 정합니다. 다른 이름을 쓰십시오",
    "variable_value": "{name} 값이 65,536자를 넘거나 0 바이트가 있습니다. 파일에 넣으십시오",
    "zero_byte": "인자에 0 바이트가 있습니다. 빼십시오",
    "no_program": "첫 인자에 실행할 프로그램을 쓰십시오",
    "outside": "{path}이(가) 작업 폴더를 벗어납니다. 그 안의 경로를 쓰십시오",
    "stars": "{path}: **는 logs/**/*.txt처럼 빗금 사이에 홀로 쓰십시오",
    "time_of_day": "08:00, 19:30처럼 시각을 쓰십시오. 하루의 끝은 24:00입니다",
    "day": "2026-12-24처럼 {first}년부터 {last}년까지의 날짜를 쓰십시오",
    "local_time": (
        "time_zone의 현지 시각을 2026-12-24T18:00처럼 시차 없이 쓰거나 날짜를 쓰십시오. {first}년부터 {last}년까지입니다"
    ),
    "moment": "2026-12-24T18:00:00+09:00처럼 시차를 붙인 시각을 쓰십시오. {first}년부터 {last}년까지입니다",
    "time_zone": "Asia/Seoul, Europe/Berlin, UTC 같은 시간대를 쓰십시오",
    "days": "sat, mon-fri, [mon, wed, fri]처럼 요일을 쓰십시오",
    "no_day": "요일을 하나 이상 쓰십시오. 매일이면 days를 빼십시오",
    "same_time": "from과 to가 같습니다. 하루 종일이면 둘 다 빼십시오",
    "dates_swapped": "to({last})가 from({first})보다 앞섭니다. 서로 바꾸십시오",
    "validity_swapped": "valid_until({last})이 valid_from({first})보다 뒤가 아닙니다. 서로 바꾸십시오",
    "rate": "GPU-시간당 크레딧을 1.25나 5/4처럼 {most} 이하로 쓰십시오",
    "named_twice": "한 번씩만 쓰십시오",
    "array_size": "작업이 {count}개로 {most}개를 넘습니다. 여러 배열로 나누십시오",
    "array_repeated": "각 작업의 번호는 한 번씩만 쓰십시오",
    "array_idle": "적어도 하나는 실행해야 합니다. %1 이상을 쓰거나 빼십시오",
    "array_step": "쌍점 뒤의 간격은 1 이상이어야 합니다",
    "array_swapped": "{last}이(가) {first}보다 앞섭니다. 서로 바꾸십시오",
    "workers_swapped": "max({most})가 min({least})보다 작습니다. 서로 바꾸십시오",
    "gang_size": "workers x gpus_per_worker가 10,000,000을 넘습니다. 줄이십시오",
}

#: English where the schema's own words say no mend.
_ENGLISH: Mapping[str, str] = {
    "string_type": "it has to be text: put a number, a date or yes and no in quotes",
    "extra_forbidden": "there is no such field: check its spelling or leave it out",
    "missing": "it is needed",
}

#: What a pattern means, Korean and English; a pattern that is not here is shown.
_FORMS: Mapping[str, tuple[str, str]] = {
    DIGEST_PATTERN: (
        "올린 폴더의 sha256: 뒤에 16진수 64자를 쓰십시오",
        "write sha256: and 64 hexadecimal digits, the digest of an uploaded folder",
    ),
    GROUP_PATH_PATTERN: (
        "research.kaist.vision처럼 소문자, 숫자, -로 된 이름을 점으로 이어 쓰십시오",
        "write names of small letters, digits and -, joined by dots, like research.kaist.vision",
    ),
    JOB_NAME_PATTERN: ("빗금과 제어 문자 없이 쓰십시오", "leave out slashes and control characters"),
    GPU_CLASS_PATTERN: (
        "h100처럼 소문자, 숫자, -로 쓰십시오(31자까지)",
        "write small letters, digits and -, at most 31, like h100",
    ),
    CHECKPOINT_PATTERN: (
        "auto, 또는 s3://… 나 gs://… 주소를 쓰십시오",
        "write auto, or an address like s3://bucket/folder or gs://bucket/folder",
    ),
    ARRAY_PATTERN: (
        "0-99, 1,4-9, 0-99%10처럼 쓰십시오",
        "write a range like 0-99, 1,4-9 or 0-99%10",
    ),
    SLUG_PATTERN: (
        "소문자, 숫자, -로 쓰십시오(63자까지, 첫 글자는 소문자나 숫자)",
        "write small letters, digits and -, at most 63, a letter or digit first",
    ),
    PERSON_PATTERN: (
        "빗금, 제어 문자, 앞 공백 없이 128자까지 쓰십시오",
        "write at most 128 characters, no slash, no control character, no space at the front",
    ),
    TRUST_DOMAIN_PATTERN: (
        "영문자, 숫자, 점, _, -로 쓰십시오(첫 글자는 영문자나 숫자)",
        "write letters, digits, dots, _ and -, a letter or digit first",
    ),
    WHY_PATTERN: ("0 바이트를 빼십시오", "leave out zero bytes"),
    LABEL_PATTERN: ("제어 문자 없이 한 글자 이상 쓰십시오", "write at least one character and no control character"),
}


def english_problem(error: Mapping[str, Any]) -> str:
    """English for one error of the schema."""
    if error["type"] == "string_pattern_mismatch":
        return _form(error, 1, "it does not have the form {pattern}")
    return _ENGLISH.get(str(error["type"])) or str(error.get("msg", "")).removeprefix("Value error, ")


def _form(error: Mapping[str, Any], language: int, unknown: str) -> str:
    pattern = str((error.get("ctx") or {}).get("pattern", ""))
    forms = _FORMS.get(pattern)
    return unknown.replace("{pattern}", pattern) if forms is None else forms[language]


def korean_problem(error: Mapping[str, Any]) -> str:
    """Korean for one error of the schema; one that has no Korean here is told as a wrong value with its English mend."""
    if error["type"] == "string_pattern_mismatch":
        return _form(error, 0, "형식이 맞지 않습니다({pattern})")
    text = _TEXTS.get(str(error["type"]))
    if text is None:
        mend = str(error.get("msg", "")).removeprefix("Value error, ")
        return f"값이 올바르지 않습니다({mend})"
    context = {name: str(value) for name, value in (error.get("ctx") or {}).items()}
    try:
        return text.format(**context)
    except (KeyError, IndexError):
        return text.split("(", 1)[0]
