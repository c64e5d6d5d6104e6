"""The sentences of dependencies and arrays, Korean and English."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

#: code: (kind, Korean, English); see ``reason_text.TEXTS``
DEPENDENCY_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.DEPENDENCY_NOT_FOUND: (
        _K.NOT_FOUND,
        "{field}: 작업 {job}을(를) 찾을 수 없습니다. 번호를 확인하거나 빼십시오.",
        "{field}: there is no job {job} that you may see: check the number, or leave it out.",
    ),
    _C.DEPENDENCY_NEVER_MET: (
        _K.REFUSED,
        "{field}: 작업 {job}은(는) 이미 끝났고({state}) 성공할 수 없습니다. 빼거나, 다시 제출한 작업의 번호를 쓰십시오.",
        "{field}: job {job} has ended ({state}) and never succeeds: leave it out, or name the job that does it again.",
    ),
    _C.ARRAY_NOT_FOUND: (
        _K.NOT_FOUND,
        "작업 배열 {array}을(를) 찾을 수 없습니다. 볼 수 있는 작업: `dure queue --all --ended`.",
        "There is no job array {array} that you may see: `dure queue --all --ended` lists the jobs of those that you may.",
    ),
    _C.JOB_IS_ARRAY: (
        _K.NOT_FOUND,
        "{job}은(는) 작업 {tasks}개({first}~{last})의 배열입니다. 그 가운데 하나의 번호를 쓰거나 "
        "`dure queue --ended --array {job}`로 보십시오.",
        "{job} is an array of {tasks} jobs, {first} to {last}: name one of them, or list them with "
        "`dure queue --ended --array {job}`.",
    ),
    _C.BATCH_TOO_LARGE: (
        _K.TOO_LARGE,
        "한 요청의 작업은 배열의 것까지 합해 많아야 {most}개입니다. 나누어 제출하십시오.",
        "One request holds at most {most} jobs, those of arrays included: submit them in parts.",
    ),
    _C.WAITING_FOR_START: (
        _K.WAITING,
        "작업 {job}이(가) 시작하거나 끝나기를 기다립니다(지금 {state}). 아직 남은 앞선 작업은 모두 {jobs}개입니다.",
        "It waits until job {job} has started or ended (now {state}); {jobs} earlier job(s) are still to come in all.",
    ),
    _C.WAITING_FOR_SUCCESS: (
        _K.WAITING,
        "작업 {job}이(가) 성공하기를 기다립니다(지금 {state}). 아직 남은 앞선 작업은 모두 {jobs}개입니다.",
        "It waits until job {job} has succeeded (now {state}); {jobs} earlier job(s) are still to come in all.",
    ),
    _C.WAITING_FOR_ARRAY: (
        _K.WAITING,
        "배열 {array}의 작업은 한 번에 {limit}개까지만 실행합니다. 실행 중이거나 차례가 앞선 작업이 {before}개 있습니다.",
        "At most {limit} jobs of the array {array} run at once, and {before} run or come before it.",
    ),
    _C.DEPENDENCY_FAILED: (
        _K.ENDED,
        "먼저 성공해야 하는 작업 {job}이(가) 그러지 못하고 끝나({state}) 취소되었습니다.",
        "Cancelled, since job {job}, which had to succeed first, has ended otherwise ({state}).",
    ),
}
