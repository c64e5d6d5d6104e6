"""What would start a waiting job, in Korean and English."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from scheduler.model.words import Language


def counterfactual_text(value: Mapping[str, Any], language: Language) -> str:
    """What would start a waiting job, in words. ``value`` is ``cycle.plan.Counterfactual.as_json``."""
    korean = language == "ko"
    parts: list[str] = []
    if value["open_site"]:
        parts.append(f"사이트 {value['site']}의 재개" if korean else f"the site {value['site']} took work again")
    if value["nodes"]:
        nodes, gpus, site, name = value["nodes"], value["gpus_per_node"], value["site"], value["gpu_class"]
        parts.append(
            f"{site}에 {name} {gpus}장짜리 빈자리 {nodes}개 추가"
            if korean
            else f"{site} had {nodes} more free place(s) of {gpus} {name} GPU(s)"
        )
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
