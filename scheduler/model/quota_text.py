"""The sentences of refusals about quotas and the group tree, Korean and English."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

#: code: (kind, Korean, English); see ``reason_text.TEXTS``
QUOTA_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.EXCEEDS_LIMIT: (
        _K.REFUSED,
        "GPU {asked}장을 요청했지만 {group}의 {gpu_class} 상한은 {limit}장입니다. 더 적게 요청하거나 상한을 올리십시오.",
        "{asked} GPUs were asked for, but {group} may never use more than {limit} of {gpu_class}: "
        "ask for fewer, or have the limit raised.",
    ),
    _C.EXCEEDS_GUARANTEE: (
        _K.REFUSED,
        "선점 불가 작업은 보장 안에서만 시작하는데, GPU {asked}장을 요청했고 {group}의 {gpu_class} 보장은 {guaranteed}장입니다. "
        "--not-preemptible을 빼거나, 더 적게 요청하거나, 보장을 올리십시오.",
        "Work that cannot be preempted starts only inside its group's guarantee: {asked} GPUs were asked for, and {group} is "
        "guaranteed {guaranteed} of {gpu_class}. Leave out --not-preemptible, ask for fewer, or have the guarantee raised.",
    ),
    _C.EXCEEDS_CAPACITY: (
        _K.REFUSED,
        "GPU {asked}장을 요청했지만 {gpu_class}은(는) 연합 전체에 {capacity}장뿐입니다. 더 적게 요청하십시오.",
        "{asked} GPUs were asked for, but the whole federation has {capacity} of {gpu_class}: ask for fewer.",
    ),
    _C.CLASS_WITHOUT_RATE: (
        _K.REFUSED,
        "{gpu_class}은(는) 환산표에 없습니다. GPU-시간당 크레딧을 함께 정하십시오: dure gpu-class set {gpu_class} 1 --speed 1.4",
        "{gpu_class} is not in the exchange table: say too what a GPU-hour of it is worth, as in "
        "dure gpu-class set {gpu_class} 1 --speed 1.4",
    ),
    _C.GUARANTEE_EXCEEDED: (
        _K.REFUSED,
        "{group} 아래 {gpu_class} 보장 합계가 {asked}장이 되어 상위 그룹의 보장 {limit}장을 넘습니다. "
        "그 아래 하나를 낮추거나 상위 그룹의 보장을 먼저 올리십시오.",
        "The guarantees below {group} would come to {asked} of {gpu_class}, above its own {limit}: lower one of them, or raise "
        "its own first.",
    ),
    _C.QUOTA_INCONSISTENT: (
        _K.REFUSED,
        "{field}: {value}은(는) {bound}와(과) 맞지 않습니다. 둘 중 하나를 바꾸십시오.",
        "{field}: {value} does not go with {bound}: change one of them.",
    ),
    _C.LIMIT_BELOW_GUARANTEED: (
        _K.REFUSED,
        "한도 {value}장이 보장량 {bound}장보다 적습니다. 한도를 올리거나 보장량을 내리십시오.",
        "A limit of {value} GPU(s) is below the guarantee of {bound}: raise the limit or lower the guarantee.",
    ),
    _C.FEDERATION_QUOTA: (
        _K.REFUSED,
        "연합에는 한도만 정할 수 있습니다. 보장량은 있는 만큼입니다. 다른 항목을 빼십시오.",
        "The federation has a limit and nothing else, it guarantees what there is: leave the other fields out.",
    ),
    _C.SECTOR_DIFFERS: (
        _K.REFUSED,
        "부문 {value}이(가) 상위 그룹의 부문 {bound}와(과) 다릅니다. 부문을 빼거나 다른 상위 그룹을 고르십시오.",
        "The sector {value} differs from the parent's, {bound}: leave it out or choose another parent.",
    ),
    _C.TREE_TOO_DEEP: (
        _K.REFUSED,
        "그룹이 {value}단계 아래에 놓입니다(최대 {bound}). 더 위의 상위 그룹을 고르십시오.",
        "A group would stand {value} levels down (at most {bound}): choose a parent further up.",
    ),
    _C.GROUP_CYCLE: (
        _K.REFUSED,
        "{group}을(를) 자기 아래로 옮길 수 없습니다. 다른 상위 그룹을 고르십시오.",
        "{group} cannot be moved below itself: choose another parent.",
    ),
}
