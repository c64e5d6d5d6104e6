"""The sentences of estimated starts, Korean and English. Each says that it is an estimate, or that nothing is known."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

#: code: (kind, Korean, English); see ``reason_text.TEXTS``
ETA_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.ETA_NEXT_ROUND: (
        _K.WAITING,
        "추정: 다음 라운드에서 시작합니다.",
        "An estimate: it starts in the next round.",
    ),
    _C.ETA_BY_LENDING: (
        _K.WAITING,
        "추정: 그때부터 사이트가 노드를 더 빌려주며, 새 작업이 들어오지 않는다고 가정합니다.",
        "An estimate: from then on a site lends more nodes, if nothing new comes.",
    ),
    _C.ETA_BY_WALLTIMES: (
        _K.WAITING,
        "추정: 그 전에 끝나는 실행 {runs}개의 walltime에 따른 것이며, 새 작업이 들어오지 않는다고 가정합니다.",
        "An estimate by the walltimes of {runs} run(s) that end before, if nothing new comes.",
    ),
    _C.ETA_BY_PREDICTIONS: (
        _K.WAITING,
        "추정: 그 전에 끝나는 실행 {runs}개 가운데 {predicted}개는 비슷한 작업이 걸린 시간에, 나머지는 walltime에 따른 것이며, "
        "새 작업이 들어오지 않는다고 가정합니다.",
        "An estimate by {runs} run(s) that end before, {predicted} as like jobs did and the others by their walltimes, if "
        "nothing new comes.",
    ),
    _C.ETA_BY_REFUSAL: (
        _K.WAITING,
        "추정: 이 작업을 거절한 사이트에 그때 다시 물어보며, 이번에는 받아들인다고 가정합니다.",
        "An estimate: a site that refused it is asked again then, if it takes it this time.",
    ),
    _C.ETA_BEYOND_FORECAST: (
        _K.WAITING,
        "알 수 없음: {until}까지 내다본 예측 안에서는 시작하지 않습니다.",
        "Unknown: it does not start within the forecast, which reaches until {until}.",
    ),
    _C.ETA_WITHOUT_WALLTIME: (
        _K.WAITING,
        "알 수 없음: 앞에 있는 실행 {runs}개는 walltime도 비슷한 작업의 기록도 없어 언제 끝날지 알 수 없습니다.",
        "Unknown: {runs} run(s) stand in its way without a walltime or like jobs, so that nobody can tell when they end.",
    ),
    _C.ETA_NOT_AS_THINGS_ARE: (
        _K.WAITING,
        "알 수 없음: 지금의 할당량과 사이트 상태로는 모두 비어 있어도 시작하지 않습니다.",
        "Unknown: as quotas and sites are now, it would not start even if nothing else ran.",
    ),
    _C.ETA_TOO_MANY_WAITING: (
        _K.WAITING,
        "알 수 없음: 대기 작업이 {waiting}개이고, 예측은 {waiting_max}개까지만 살펴봅니다.",
        "Unknown: {waiting} jobs wait, and a forecast looks at {waiting_max} at most.",
    ),
    _C.ETA_NOT_LOOKED_AT: (
        _K.WAITING,
        "알 수 없음: {made}의 예측 때 이 작업은 배치 라운드의 대상이 아니었습니다.",
        "Unknown: rounds were not looking at this job at the time of the forecast, {made}.",
    ),
}
