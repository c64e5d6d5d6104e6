"""The sentences of nodes that are set aside, Korean and English."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

#: code: (kind, Korean, English); see ``reason_text.TEXTS``
NODE_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.NODE_SET_ASIDE: (
        _K.WAITING,
        "지난 {hours}시간 동안 노드 {node}에서 {people}명의 실행 {failures}개가 노드 탓으로 실패했습니다"
        "(사건 {incidents}건). 점검한 뒤 `dure site node return`으로 되돌리십시오.",
        "Within {hours} hours {failures} runs of {people} people failed by the node's doing on {node}, in {incidents} "
        "incidents. Look at it, and give it back with `dure site node return`.",
    ),
    _C.NODE_SET_ASIDE_BY: (
        _K.WAITING,
        "{person} 님이 노드 {node}을(를) 따로 두었습니다: {why}",
        "{person} set the node {node} aside: {why}",
    ),
}
