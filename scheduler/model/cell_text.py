"""Sentences of reasons that are about cells. ``cell`` is a kind of cells as it is written: `h100 leaf of 4`."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

CELL_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.CELLS_BEYOND_PARENT: (
        _K.REFUSED,
        "{group} 아래 그룹들의 셀({cell} 이상)이 {asked}개가 되어 {group}의 {limit}개를 넘습니다. {short}개를 줄이거나 {group}의 "
        "셀을 먼저 늘리십시오.",
        "The groups below {group} would have {asked} cells ({cell} or larger), and {group} has {limit} of them: ask for {short} "
        "fewer, or grant {group} more first.",
    ),
    _C.CELLS_ABOVE_GUARANTEE: (
        _K.REFUSED,
        "{group}의 {gpu_class} 보장 {limit}장으로는 셀과 아래 그룹의 형태 없는 보장을 합한 {asked}장을 담을 수 없습니다. "
        "보장량을 {excess}장 이상 늘리거나 셀을 줄이십시오.",
        "The guarantee of {group} is {limit} of {gpu_class}; its cells, with what the groups below it are guaranteed beside "
        "cells, have {asked}. Guarantee {excess} more, or ask for fewer cells.",
    ),
    _C.CELLS_EXCEEDED: (
        _K.REFUSED,
        "{cell} 셀 {asked}개를 이미 준 셀과 함께 동시에 제공할 수 없습니다. {limit}개까지 줄 수 있습니다"
        "(같은 셀 {granted}개 부여됨, 쓸 수 없는 노드 {bad}개). 더 적게 요청하거나 다른 그룹의 셀을 줄이십시오.",
        "{asked} cells {cell} could not be held at once with all that are granted: {limit} could ({granted} such cells are "
        "granted, {bad} nodes are bad or not lent for good). Ask for fewer, or for fewer of other groups first.",
    ),
    _C.CELLS_IN_THE_WAY: (
        _K.REFUSED,
        "{cell} 셀 {asked}개를 줄 자리에 되찾을 수 없는 작업이 있습니다. 지금은 {limit}개까지 줄 수 있습니다(같은 셀 {granted}개 "
        "부여됨, 쓸 수 없는 노드 {bad}개). 그 작업이 끝난 뒤 다시 하십시오.",
        "Work that cannot be called back lies where {asked} cells {cell} would: {limit} could be granted now ({granted} such "
        "cells are granted, {bad} nodes are bad or not lent for good). Try again when it is over.",
    ),
    _C.CELLS_UNPROVEN: (
        _K.REFUSED,
        "{cell} 셀 {asked}개를 동시에 제공할 수 있는지 확인하지 못했습니다. {limit}개까지는 확실합니다. 그만큼만 요청하십시오.",
        "Whether {asked} cells {cell} can be held at once with all that are granted could not be settled; {limit} certainly can: "
        "ask for those.",
    ),
    _C.KEPT_FOR_CELLS: (
        _K.WAITING,
        "{site}에서 {gpu_class}이(가) 충분히 비어 있지만, 그 노드 {nodes}개는 셀로 보장되어 비선점 작업을 받지 않습니다. "
        "선점할 수 있게 제출하면 바로 빌려 쓸 수 있습니다.",
        "Enough of {gpu_class} is free at {site}, but on {nodes} nodes that are kept for cells, from which this job could not be "
        "called back. Submitted as preemptible it may borrow them.",
    ),
}
