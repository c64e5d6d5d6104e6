"""The sentences of every reason, Korean and English, and what would mend it.

Templates are filled from a reason's numbers and field by ``sentence``; a number that is missing shows as ``?``, so
that a text can never turn an answer into a fault.
"""

from __future__ import annotations

import string
from collections.abc import Mapping
from typing import Any

from scheduler.model.cell_text import CELL_TEXTS
from scheduler.model.certificate_text import CERTIFICATE_TEXTS
from scheduler.model.dependency_text import DEPENDENCY_TEXTS
from scheduler.model.eta_text import ETA_TEXTS
from scheduler.model.lending_text import LENDING_TEXTS
from scheduler.model.node_text import NODE_TEXTS
from scheduler.model.quota_text import QUOTA_TEXTS
from scheduler.model.reason import Number, ReasonCode, ReasonKind
from scheduler.model.retry_text import RETRY_TEXTS
from scheduler.model.wall_time import in_korea
from scheduler.model.words import Language, WordKind, word

_C, _K = ReasonCode, ReasonKind
#: Numbers of reasons that are names.
_NAMED = (WordKind.STATE, WordKind.CAUSE, WordKind.CATEGORY, WordKind.ACTION, WordKind.RULE, WordKind.TERM)
_KINDS = {kind.value: kind for kind in _NAMED}

#: code: (kind, Korean, English)
TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.INVALID_FIELD: (
        _K.INVALID,
        "{field} 값이 올바르지 않습니다: {problem_ko}",
        "{field} cannot be used: {problem}",
    ),
    _C.INVALID_BODY: (
        _K.INVALID,
        "요청 본문을 읽을 수 없습니다: {problem_ko}",
        "The request body cannot be read: {problem}",
    ),
    _C.INVALID_CURSOR: (
        _K.INVALID,
        "cursor 값이 올바르지 않습니다. 앞선 응답의 next_cursor를 그대로 쓰십시오.",
        "cursor is not one of ours: use next_cursor of the previous answer as it stands.",
    ),
    _C.INVALID_PRECONDITION: (
        _K.INVALID,
        "{field} 헤더가 필요합니다: {problem_ko}",
        "The {field} header is needed: {problem}",
    ),
    _C.UNAUTHENTICATED: (
        _K.UNAUTHENTICATED,
        "로그인이 필요합니다. 유효한 토큰으로 `dure login`을 실행하십시오.",
        "Sign in first: run `dure login` with a valid token.",
    ),
    _C.ENROLMENT_REFUSED: (
        _K.UNAUTHENTICATED,
        "등록 토큰이 올바르지 않거나 만료되었습니다. 운영자에게 `dure site enrol 사이트`로 새 토큰을 받으십시오.",
        "The enrolment token is none of ours or has expired: have the site's operator run `dure site enrol SITE`.",
    ),
    _C.TOKEN_EXPIRED: (
        _K.UNAUTHENTICATED,
        "토큰이 {expired_at}에 만료되었습니다. 새 토큰을 만드십시오.",
        "The token expired at {expired_at}: have a new one made.",
    ),
    _C.TOKEN_REVOKED: (
        _K.UNAUTHENTICATED,
        "토큰이 폐기되었습니다. 새 토큰을 만드십시오.",
        "The token was revoked: have a new one made.",
    ),
    _C.CSRF_FAILED: (
        _K.FORBIDDEN,
        "양식이 오래되었습니다. 페이지를 새로 고친 뒤 다시 시도하십시오.",
        "The form is out of date: reload the page and try again.",
    ),
    _C.FORBIDDEN: (
        _K.FORBIDDEN,
        "이 작업에는 {where}에 대한 {needed} 권한이 필요합니다. 관리자에게 요청하십시오.",
        "This needs the role {needed} on {where}: ask a manager of it.",
    ),
    _C.SCOPE_MISSING: (
        _K.FORBIDDEN,
        "이 토큰에는 {needed} 범위가 없습니다. 그 범위를 가진 토큰을 쓰십시오.",
        "This token lacks the scope {needed}: use one that has it.",
    ),
    _C.RATE_LIMITED: (
        _K.TOO_MANY,
        "요청이 너무 많습니다. {retry_after_seconds}초 뒤에 다시 시도하십시오.",
        "Too many requests: try again in {retry_after_seconds} s.",
    ),
    _C.JOB_NOT_FOUND: (
        _K.NOT_FOUND,
        "작업 {job}을(를) 찾을 수 없습니다. 볼 수 있는 작업: `dure queue --all --ended`.",
        "There is no job {job} that you may see: `dure queue --all --ended` lists them.",
    ),
    _C.GROUP_NOT_FOUND: (
        _K.NOT_FOUND,
        "그룹 {group}을(를) 찾을 수 없습니다. `dure group list`로 확인하십시오.",
        "There is no group {group} that you may see: `dure group list` names them.",
    ),
    _C.SITE_NOT_FOUND: (
        _K.NOT_FOUND,
        "사이트 {site}을(를) 찾을 수 없습니다. `dure site list`로 확인하십시오.",
        "There is no site {site} that you may see: `dure site list` names them.",
    ),
    _C.PERSON_NOT_FOUND: (
        _K.NOT_FOUND,
        "{person} 님을 찾을 수 없습니다. 철자를 확인하거나, 먼저 `dure member add`나 `dure site operator add`로 역할을 주십시오.",
        "There is nobody named {person}: check the spelling, or give a role first (`dure member add`, `dure site operator add`).",
    ),
    _C.ROLE_NOT_HELD: (
        _K.NOT_FOUND,
        "{person} 님은 {where}에 {role} 권한이 없습니다. 위 그룹에서 물려받은 권한은 그 그룹에서 거두십시오.",
        "{person} does not hold the role {role} on {where}; one that is inherited is taken away where it was given.",
    ),
    _C.OUTPUTS_NOT_FOUND: (
        _K.NOT_FOUND,
        "작업 {job}의 결과물이 없습니다: {problem_ko}",
        "There are no outputs of job {job}: {problem}",
    ),
    _C.TOKEN_NOT_FOUND: (
        _K.NOT_FOUND,
        "토큰 {token}을(를) 찾을 수 없습니다. `dure token list`로 확인하십시오.",
        "There is no token {token} of yours: `dure token list` names them.",
    ),
    _C.CONTENT_NOT_FOUND: (
        _K.NOT_FOUND,
        "내용 {digest}이(가) 없습니다. 먼저 올리십시오.",
        "There is no content {digest} that you may use: upload it first.",
    ),
    _C.ROUTE_NOT_FOUND: (
        _K.NOT_FOUND,
        "그런 주소가 없습니다. 철자를 확인하십시오.",
        "There is nothing at this address: check its spelling.",
    ),
    _C.METHOD_NOT_ALLOWED: (
        _K.INVALID,
        "이 주소에서는 {method}을(를) 쓸 수 없습니다. Allow 헤더에 있는 것을 쓰십시오.",
        "{method} cannot be used at this address: the Allow header names what can.",
    ),
    _C.NAME_TAKEN: (
        _K.CONFLICT,
        "{name} 이름은 이미 쓰이고 있습니다. 다른 이름을 고르십시오.",
        "The name {name} is taken: choose another.",
    ),
    _C.STATE_CONFLICT: (
        _K.CONFLICT,
        "지금 상태({state})에서는 {action}을(를) 할 수 없습니다. 상태를 다시 확인하십시오.",
        "{action} is not possible in the state {state}: look at it again, its state may have changed.",
    ),
    _C.ETAG_MISMATCH: (
        _K.CONFLICT,
        "그 사이 다른 사람이 바꾸었습니다(현재 {current}). 다시 읽고 시도하십시오.",
        "Somebody changed it in the meantime (now {current}): read it again and retry.",
    ),
    _C.IDEMPOTENCY_MISMATCH: (
        _K.CONFLICT,
        "이 Idempotency-Key는 다른 요청에 이미 쓰였습니다. 새 키를 쓰십시오.",
        "This Idempotency-Key was used for another request: use a new one.",
    ),
    _C.STALE_EPOCH: (
        _K.CONFLICT,
        "실행 {run}의 차수 {epoch}은(는) 낡았습니다(최신 {newest}). 그 실행을 끝내십시오.",
        "Epoch {epoch} of run {run} is stale (newest {newest}): that run has to be ended.",
    ),
    _C.ALREADY_ENROLLED: (
        _K.CONFLICT,
        "이 등록 토큰은 이미 쓰였습니다. 관리자에게 새 토큰을 요청하십시오.",
        "This enrolment token was used: ask the administrator for a new one.",
    ),
    _C.PROTOCOL_UNSUPPORTED: (
        _K.CONFLICT,
        "프로토콜 {protocol}은(는) 지원하지 않습니다({spoken}만 지원). 에이전트를 올리십시오.",
        "Protocol {protocol} is not spoken here (only {spoken}): upgrade the agent.",
    ),
    _C.BODY_TOO_LARGE: (
        _K.TOO_LARGE,
        "요청이 너무 큽니다(최대 {bytes_max}바이트). 나누어 보내십시오.",
        "The request is too large (at most {bytes_max} bytes): send it in parts.",
    ),
    _C.CONTENT_TOO_LARGE: (
        _K.TOO_LARGE,
        "내용이 너무 큽니다({bytes}바이트, 최대 {bytes_max}). 필요 없는 것은 .dureignore에 적어 빼십시오.",
        "The content is too large ({bytes} bytes, at most {bytes_max}): leave out what is not needed (.dureignore names it).",
    ),
    _C.CONTENT_MISMATCH: (
        _K.INVALID,
        "받은 내용의 해시가 {digest}와(과) 다릅니다. 다시 올리십시오.",
        "What arrived does not have the digest {digest}: upload it again.",
    ),
    _C.NOT_READY: (
        _K.UNAVAILABLE,
        "지금은 처리할 수 없습니다. 잠시 뒤 다시 시도하십시오.",
        "Not able to serve this now: try again in a moment.",
    ),
    _C.INTERNAL_FAULT: (
        _K.FAULT,
        "서버에서 오류가 났습니다. 같은 요청을 다시 보내도 안전합니다. 계속되면 추적 번호를 운영자에게 알려 주십시오.",
        "Something failed in the server. Sending the same request again is safe; if it goes on, tell the operators the trace.",
    ),
    _C.UNKNOWN_GPU_CLASS: (
        _K.REFUSED,
        "GPU 종류 {gpu_class}은(는) 없습니다. 다음 가운데 고르십시오: {known}.",
        "There is no GPU class {gpu_class}: the known ones are {known}.",
    ),
    _C.NO_SITE_FITS: (
        _K.REFUSED,
        "비어 있어도 이 작업({workers}개 × GPU {gpus_per_worker}장)을 담을 사이트가 없습니다. "
        "가장 큰 곳은 작업자 {workers_max}개를 담습니다. 더 적게 요청하십시오.",
        "No site could hold this gang ({workers} workers of {gpus_per_worker} GPUs) even when empty; "
        "the largest holds {workers_max} such workers: ask for fewer.",
    ),
    _C.NO_DOMAIN_FITS: (
        _K.REFUSED,
        "비어 있어도 작업자 {workers}개(각 GPU {gpus_per_worker}장)를 함께 담을 {level}이(가) 없습니다. 가장 큰 곳은 "
        "{workers_max}개를 담습니다. topology.required를 더 넓은 단계로 적으십시오.",
        "No {level} could hold {workers} workers of {gpus_per_worker} GPUs even when empty; the largest holds {workers_max}. "
        "Require a looser level (topology.required).",
    ),
    _C.NO_NODE_FITS: (
        _K.REFUSED,
        "작업자 하나가 {resource} {asked}을(를) 요청했지만 {gpu_class} 노드는 많아야 {largest}입니다. 더 적게 요청하십시오.",
        "One worker asks for {asked} {resource}, but the largest node of {gpu_class} has {largest}: ask for less a worker.",
    ),
    _C.NO_GPUS: (
        _K.REFUSED,
        "아직 GPU를 알린 사이트가 없습니다. 관리자에게 사이트를 등록해 달라고 하십시오.",
        "No site has reported a GPU yet: ask an administrator to register one.",
    ),
    _C.DATA_CLASS_NOT_ALLOWED: (
        _K.REFUSED,
        "자료 등급 {data_class}을(를) 처리할 수 있는 사이트가 없습니다(걸린 규칙: {rule}). 관리자에게 사이트를 요청하십시오.",
        "No site may serve data class {data_class} of this group (the rule in the way: {rule}): ask an administrator for one "
        "that may.",
    ),
    _C.NOT_YET_EVALUATED: (
        _K.WAITING,
        "아직 배치 라운드가 이 작업을 살펴보지 않았습니다.",
        "No round has looked at this job yet.",
    ),
    _C.HELD_BY_OWNER: (
        _K.WAITING,
        "보류 중입니다. `dure release {job}`로 풀 수 있습니다.",
        "It is held: `dure release {job}` lets it go.",
    ),
    _C.WAITING_FOR_CAPACITY: (
        _K.WAITING,
        "GPU {asked}장이 필요한데 {free}장이 비어 있습니다.",
        "It needs {asked} GPUs and {free} are free.",
    ),
    _C.WAITING_FOR_NODES: (
        _K.WAITING,
        "빈 GPU는 {free}장이지만 작업자 {workers}개(각 {gpus_per_worker}장)를 한 번에 놓을 자리가 없습니다. "
        "지금은 {workers_max}개까지 들어갑니다.",
        "{free} GPUs are free, but not in a shape that holds {workers} workers of {gpus_per_worker} at once; "
        "{workers_max} would fit now.",
    ),
    _C.RESERVED_FOR_OTHERS: (
        _K.WAITING,
        "빈 {gpu_class} {free}장은 차례가 앞선 작업을 위해 잡아 둔 것입니다. walltime이 {seconds_max}초 이하면 그 사이에 "
        "시작할 수 있습니다.",
        "The {free} free {gpu_class} GPUs are reserved for jobs ahead; with a walltime of {seconds_max} s at most the job "
        "could have them until then.",
    ),
    _C.WAITING_FOR_QUOTA: (
        _K.WAITING,
        "{group}이(가) {gpu_class} {used}장을 쓰고 있고 상한은 {limit}장이라 {asked}장을 더 쓸 수 없습니다.",
        "{group} uses {used} of {gpu_class} and its limit is {limit}: {asked} more do not fit.",
    ),
    _C.WAITING_FOR_BORROWING: (
        _K.WAITING,
        "{group}의 {gpu_class} 차용 한도({limit}장)에 걸렸습니다. 사용 {used}장, 요청 {asked}장.",
        "{group} may hold {limit} of {gpu_class} with what it borrows; it uses {used} and asks for {asked}.",
    ),
    _C.WAITING_FOR_GUARANTEE: (
        _K.WAITING,
        "비선점 작업은 보장 안에서만 시작합니다. {group}의 {gpu_class} 보장 {limit}장 중 {used}장 사용, 요청 {asked}장.",
        "Work that cannot be preempted starts only inside the guarantee: {group} has {limit} of {gpu_class}, "
        "uses {used} and asks for {asked}.",
    ),
    _C.WAITING_BEHIND_OTHERS: (
        _K.WAITING,
        "앞에 {ahead}개 작업이 있습니다.",
        "{ahead} jobs are ahead of it.",
    ),
    _C.WAITING_FOR_SITE: (
        _K.WAITING,
        "이 작업을 맡을 수 있는 사이트가 모두 쉬고 있습니다({sites}곳).",
        "Every site that could serve it is cordoned, stopped or silent ({sites}).",
    ),
    _C.SITE_CLOSED: (
        _K.WAITING,
        "{site} 사이트는 지금 새 작업을 받지 않습니다(상태: {state}).",
        "{site} takes nothing new now: it is {state}.",
    ),
    _C.WAITING_FOR_CHECKPOINT_SITE: (
        _K.WAITING,
        "체크포인트가 있는 사이트 {site}를 기다립니다. 다른 곳에서 새로 시작하려면 "
        "`dure requeue --start-over {job}`를 쓰십시오.",
        "It waits for the site {site}, which holds its checkpoint; `dure requeue --start-over {job}` lets it begin again "
        "elsewhere.",
    ),
    _C.WAITING_FOR_EARMARK: (
        _K.WAITING,
        "사이트 {site}에서 이 작업을 위해 노드를 비우고 있습니다. 실행 {runs}개가 {until}까지 나갑니다.",
        "Nodes are being freed at {site} for this job: {runs} run(s) leave by {until}.",
    ),
    _C.WAITING_FOR_AGENT: (
        _K.WAITING,
        "사이트 {site}에 배정되었고 에이전트의 응답을 기다립니다.",
        "It was given to the site {site}, whose agent has not reported it yet.",
    ),
    _C.SITE_UNREACHABLE: (
        _K.WAITING,
        "사이트 {site}이(가) {silent_seconds}초째 응답하지 않습니다. 작업은 보류됩니다.",
        "The site {site} has been silent for {silent_seconds} s: the job is held, not guessed dead.",
    ),
    _C.STOPPING: (
        _K.WAITING,
        "실행을 멈추는 중입니다({cause}).",
        "Its run is being stopped ({cause}).",
    ),
    _C.STOPPED_FOR_CLAIM: (
        _K.WAITING,
        "우선권이 높은 작업을 위해 {until}까지 실행을 멈춥니다. 그 뒤 대기열로 돌아가며, 재시도 횟수는 줄지 않습니다.",
        "Its run is stopped for a job with a higher claim, by {until}; then it goes back to the queue, and loses no retry.",
    ),
    _C.STOPPED_FOR_LENDER: (
        _K.WAITING,
        "사이트 {site}의 소유자가 노드를 돌려받으므로 {until}까지 실행을 멈춥니다. 그 뒤 대기열로 돌아갑니다.",
        "The owner of {site} takes its nodes back: its run is stopped by {until}; then it goes back to the queue.",
    ),
    _C.STOPPED_FOR_GANG: (
        _K.WAITING,
        "여러 노드를 함께 쓰는 작업의 자리를 마련하려고 실행을 옮깁니다. {until}까지 멈춘 뒤 다른 곳에서 이어집니다.",
        "Its run is moved so that a larger job finds room: it stops by {until} and goes on elsewhere.",
    ),
    _C.STOPPED_TO_SHRINK: (
        _K.WAITING,
        "다른 작업이나 노드 소유자가 자리를 필요로 해 작업자 수를 줄입니다. {until}까지 멈춘 뒤 더 적은 작업자로 이어집니다.",
        "Another job, or the nodes' owner, needs room: its run stops by {until} and goes on with fewer workers.",
    ),
    _C.STOPPED_TO_GROW: (
        _K.WAITING,
        "빈 GPU가 있어 작업자 수를 늘립니다. {until}까지 멈춘 뒤 더 많은 작업자로 이어집니다.",
        "There is room for more of its workers: its run stops by {until} and goes on with more.",
    ),
    _C.CANCELLED_BY: (_K.ENDED, "{person} 님이 취소했습니다.", "Cancelled by {person}."),
    **DEPENDENCY_TEXTS,
    **ETA_TEXTS,
    **CERTIFICATE_TEXTS,
    **LENDING_TEXTS,
    **QUOTA_TEXTS,
    **RETRY_TEXTS,
    **NODE_TEXTS,
    **CELL_TEXTS,
}


class _Known(dict[str, Any]):
    """Numbers of a reason, with ``?`` for what is missing."""

    def __missing__(self, key: str) -> str:
        return "?"


def sentence(code: ReasonCode, numbers: Mapping[str, Number], language: Language, *, field: str | None = None) -> str:
    """Fill the sentence of ``code`` in ``language``. Never raises."""
    _, korean, english = TEXTS[code]
    template = korean if language == "ko" else english
    shown = {name: "-" if value is None else _in_words(name, value, language) for name, value in numbers.items()}
    known = _Known({"field": field or "?", **shown})
    return string.Formatter().vformat(template, (), known)


def _in_words(name: str, value: Number, language: Language) -> Number:
    """A number as people read it: names of states, causes, actions and rules become words, and moments Korean time."""
    if not isinstance(value, str):
        return value
    kind = _KINDS.get(name)
    return in_korea(value) if kind is None else word(kind, value, language)


def kind_of(code: ReasonCode) -> ReasonKind:
    """What sort of answer ``code`` is."""
    return TEXTS[code][0]
