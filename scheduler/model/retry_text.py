"""The sentences of failed and refused runs and deadlines, Korean and English."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

#: code: (kind, Korean, English); see ``reason_text.TEXTS``
RETRY_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.WAITING_FOR_RETRY: (
        _K.WAITING,
        "{attempt}번째 실행이 기반 시설 문제로 중단되었습니다({cause}. {message}). 잇달아 {failures}번째이며 "
        "{failures_max}번까지 다시 합니다. {next}번째 실행은 {not_before} 뒤에 배치하고, 재시도 횟수는 줄지 않습니다.",
        "Attempt {attempt} was lost to the infrastructure ({cause}. {message}), the {failures}. in a row of at most "
        "{failures_max} that are tried again: attempt {next} is placed after {not_before}, and costs no retry.",
    ),
    _C.REFUSED_BY_SITE: (
        _K.WAITING,
        "사이트 {site}이(가) 이 작업을 잇달아 {times}번 거절했습니다({message}). {until} 전에는 다시 묻지 않으며, 재시도 횟수는 "
        "줄지 않습니다. 원인을 고쳤으면 `dure requeue {job}`로 바로 물어볼 수 있습니다.",
        "{site} has refused it {times} time(s) in a row ({message}) and is not asked again before {until}; that costs no retry. "
        "Once the cause is mended, `dure requeue {job}` has it asked at once.",
    ),
    _C.WAITING_AFTER_FAILURE: (
        _K.WAITING,
        "{attempt}번째 실행이 실패했습니다({category}, 종료 코드 {exit_code}). 재시도 {failures_max}번 가운데 {failures}번을 "
        "썼고, {next}번째 실행은 {not_before} 뒤에 배치합니다.",
        "Attempt {attempt} failed ({category}, exit code {exit_code}): {failures} of {failures_max} retries are used, and "
        "attempt {next} is placed after {not_before}.",
    ),
    _C.COMMAND_FAILED: (
        _K.ENDED,
        "명령이 종료 코드 {exit_code}(으)로 끝났습니다. 로그: `dure logs {job}`.",
        "The command ended with exit code {exit_code}: see `dure logs {job}`.",
    ),
    _C.NEVER_STARTED: (
        _K.ENDED,
        "시작하기 전에 종료 코드 {exit_code}(으)로 끝났습니다({message}). 고쳐 다시 제출하십시오. 남은 로그: `dure logs {job}`.",
        "It ended with exit code {exit_code} before it had started ({message}): mend that and submit it again. What there is "
        "of its log: `dure logs {job}`.",
    ),
    _C.COMMAND_KILLED: (
        _K.ENDED,
        "명령이 강제로 종료되었습니다(SIGKILL, 종료 코드 {exit_code}). 대개 메모리가 모자랄 때입니다. "
        "작업자마다 {memory_mib} MiB를 요청했습니다. memory_per_worker를 늘리고 로그를 보십시오: `dure logs {job}`.",
        "The command was killed (SIGKILL, exit code {exit_code}), most often for want of memory: it asked for {memory_mib} "
        "MiB a worker; ask for more with memory_per_worker, and see `dure logs {job}`.",
    ),
    _C.FAILS_ALIKE: (
        _K.ENDED,
        "시작한 지 {quick_seconds}초 안에 잇달아 {failures}번 같은 종료 코드 {exit_code}(으)로 끝나, 남은 재시도 없이 "
        "포기했습니다. 로그: `dure logs {job}`.",
        "Given up with retries left: the command ended {failures} times in a row within {quick_seconds} s of its start, each "
        "time with exit code {exit_code}: see `dure logs {job}`.",
    ),
    _C.WALLTIME_EXCEEDED: (
        _K.ENDED,
        "요청한 실행 시간 {walltime_seconds}초를 넘겨 종료되었습니다.",
        "Its walltime of {walltime_seconds} s was over.",
    ),
    _C.INFRASTRUCTURE_FAILED: (
        _K.ENDED,
        "기반 시설 문제로 잇달아 {failures}번 중단되어 포기했습니다(마지막 원인: {cause}. {message}).",
        "Given up after {failures} runs in a row were lost to the infrastructure (the last one: {cause}. {message}).",
    ),
    _C.DEADLINE_TOO_SOON: (
        _K.REFUSED,
        "deadline({deadline})을 지킬 수 없습니다. walltime이 {walltime_seconds}초이므로 {start_by}까지 시작해야 하는데 "
        "지금은 {now}입니다. 기한을 늦추거나 walltime을 줄이십시오.",
        "Its deadline {deadline} cannot be met: with a walltime of {walltime_seconds} s it would have to start by {start_by}, "
        "and it is {now}. Choose a later one, or a shorter walltime.",
    ),
    _C.DEADLINE_MISSED: (
        _K.ENDED,
        "{start_by}까지 시작하지 못해 기한({deadline})을 지킬 수 없게 되어 취소되었습니다(walltime {walltime_seconds}초).",
        "Cancelled: it had not started by {start_by}, and so could not be over by its deadline {deadline} (walltime "
        "{walltime_seconds} s).",
    ),
    _C.LATE_FOR_DEADLINE: (
        _K.WAITING,
        "이 추정은 기한보다 늦습니다. 기한({deadline})을 지키려면 {start_by}까지 시작해야 하며, 그때까지 시작하지 못하면 "
        "취소됩니다(walltime {walltime_seconds}초).",
        "This is too late for its deadline {deadline}: it is cancelled if it has not started by {start_by} (walltime "
        "{walltime_seconds} s).",
    ),
}
