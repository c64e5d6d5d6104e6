"""The sentences about the certificate, Korean and English."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

#: code: (kind, Korean, English); see ``reason_text.TEXTS``
CERTIFICATE_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.CERTIFICATE_STANDS: (
        _K.ENDED,
        "{since} 이후 성공한 작업 {jobs}개의 평균 완료 시간은 {mean}이며, 어떤 스케줄이었더라도 {bound} 미만일 수 없었습니다. "
        "가능한 최선과의 차이는 {percent} % 이내입니다.",
        "The mean completion of the {jobs} job(s) that succeeded since {since} was {mean}, within {percent} % of what any "
        "schedule could do: none could have had less than {bound}.",
    ),
    _C.CERTIFICATE_NOT_MADE: (
        _K.WAITING,
        "알 수 없음: 아직 계산한 적이 없습니다. 스케줄러가 시작되고 잠시 뒤에 나옵니다.",
        "Unknown: none has been worked out yet. The first comes a while after a scheduler has started.",
    ),
    _C.CERTIFICATE_WITHOUT_JOBS: (
        _K.WAITING,
        "알 수 없음: {since} 이후, 얼마나 걸리는 작업인지 기록으로 알 수 있는 작업이 하나도 성공하지 않았습니다. "
        "(제외한 작업 {left_out}개)",
        "Unknown: since {since} no job has succeeded of which the record tells what it needed ({left_out} left out).",
    ),
    _C.PRICES_TOO_MANY_WAITING: (
        _K.WAITING,
        "알 수 없음: 대기 작업이 {waiting}개이고, 잠재 가격은 {waiting_max}개까지만 계산합니다.",
        "Unknown: {waiting} jobs wait, and prices are worked out for {waiting_max} at most.",
    ),
}
