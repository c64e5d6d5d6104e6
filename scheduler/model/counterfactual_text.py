"""What would start a waiting job, and with what else it would start, in Korean and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.model.wall_time import in_korea
from scheduler.model.words import Language, WordKind, word


def alternative_text(value: Mapping[str, Any], language: Language) -> str:
    """With what else a waiting job would start, in words. ``value`` is ``cycle.plan.Alternative.as_json``."""
    korean = language == "ko"
    site, name, gpus, asked = value["site"], value["gpu_class"], value["gpus"], value["gpus_asked"]
    workers = value["workers"]
    match value["kind"]:
        case "fewer_workers":
            if korean:
                return f"GPU {asked}장 대신 {gpus}장(작업자 {workers}개)이면 지금 시작합니다({site}, {name})."
            return f"It would start now with {gpus} instead of {asked} GPUs ({workers} worker(s)) on {name} at {site}."
        case "other_gpu_class":
            return f"{name}이면 지금 시작합니다({site})." if korean else f"It would start now on {name} at {site}."
    at = in_korea(value["at"])
    if korean:
        return f"{at}에 {site}이(가) {name}을(를) 빌려주기 시작하면 시작할 수 있습니다."
    return f"It could start at {at}, when {site} begins to lend more {name}."


def _terms(value: Mapping[str, Any], language: Language) -> str:
    """What keeps the job off what a site lends now, and when that changes by the clock alone."""
    korean = language == "ko"
    told = []
    if value["term"]:
        term = word(WordKind.TERM, value["term"], language)
        told.append(f"걸린 조건: {term}" if korean else f"what keeps it out now: {term}")
    if value["opens_at"]:
        at = in_korea(value["opens_at"])
        told.append(f"다시 빌려주는 때: {at}" if korean else f"it lends more at {at}")
    return f" ({'; '.join(told)})" if told else ""


def counterfactual_text(value: Mapping[str, Any], language: Language) -> str:
    """What would start a waiting job, in words. ``value`` is ``cycle.plan.Counterfactual.as_json``."""
    korean = language == "ko"
    parts: list[str] = []
    if value["open_site"]:
        parts.append(f"사이트 {value['site']}의 재개" if korean else f"the site {value['site']} took work again")
    if value["nodes"]:
        nodes, gpus, name = value["nodes"], value["gpus_per_node"], value["gpu_class"]
        site = "/".join(filter(None, (value["site"], value["domain"])))
        what = (
            f"{name} {gpus}장짜리 빈자리 {nodes}개" if korean else f"{nodes} more free place(s) of {gpus} {name} GPU(s)"
        )
        if value["lent"]:
            terms = _terms(value, language)
            parts.append(
                f"{site}에서 {what}를 이 작업에 더 빌려줌{terms}" if korean else f"{site} lent it {what}{terms}"
            )
        else:
            parts.append(f"{site}에 {what} 추가" if korean else f"{site} had {what}")
    for group, gpus in value["raises"]:
        parts.append(
            f"{group}의 한도 {gpus}장 상향" if korean else f"the bound of {group} were higher by {gpus} GPU(s)"
        )
    if value["preemptible"]:
        parts.append("작업의 선점 허용" if korean else "the job said that it may be preempted")
    if value["walltime_seconds"]:
        minutes = value["walltime_seconds"] // 60
        parts.append(f"walltime {minutes}분 이하" if korean else f"its walltime were {minutes} min at most")
    if not parts:
        return "다음 라운드에서 시작합니다." if korean else "It starts in the next round."
    if korean:
        return f"시작 조건: {', '.join(parts)}."
    return f"It would start if {' and '.join(parts)}."
