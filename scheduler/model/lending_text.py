"""The sentences about offers, recalls and reservations, and what waits because of them, Korean and English."""

from __future__ import annotations

from collections.abc import Mapping

from scheduler.model.reason import ReasonCode, ReasonKind

_C, _K = ReasonCode, ReasonKind

#: code: (kind, Korean, English); see ``reason_text.TEXTS``
LENDING_TEXTS: Mapping[ReasonCode, tuple[ReasonKind, str, str]] = {
    _C.OFFER_NOT_FOUND: (
        _K.NOT_FOUND,
        "제공 {offer}이(가) 없거나 볼 수 없습니다. `dure offer list`로 확인하십시오.",
        "There is no offer {offer}, or not for you: see `dure offer list`.",
    ),
    _C.FIRST_OFFER_ENDS_RUNS: (
        _K.CONFLICT,
        "{site}의 첫 제공입니다. 지금 {gpu_class} 노드 {lent}개만 빌려주게 되어 노드 {nodes}개에서 도는 작업이 끝나게 됩니다. "
        "먼저 `dure site drain {site}`으로 비우거나, 그만큼 지금부터 빌려주십시오.",
        "It is the first offer of {site} and would lend {lent} nodes of {gpu_class} now and nothing else: what runs on {nodes} "
        "other nodes would have to end. Empty the site first (`dure site drain {site}`), or lend as many from now on.",
    ),
    _C.RECALL_NOT_FOUND: (
        _K.NOT_FOUND,
        "회수 {recall}이(가) 없거나 볼 수 없습니다. `dure recall list 사이트`로 확인하십시오.",
        "There is no recall {recall}, or not for you: see `dure recall list SITE`.",
    ),
    _C.RESERVATION_NOT_FOUND: (
        _K.NOT_FOUND,
        "예약 {reservation}이(가) 없거나 볼 수 없습니다. `dure reserve list 사이트`로 확인하십시오.",
        "There is no reservation {reservation}, or not for you: see `dure reserve list SITE`.",
    ),
    _C.NODE_NOT_FOUND: (
        _K.NOT_FOUND,
        "사이트 {site}에 노드 {node}이(가) 없습니다. 사이트가 알린 이름을 쓰십시오.",
        "Site {site} has no node {node}: write a name that the site reports.",
    ),
    _C.NEVER_LENT_TO: (
        _K.REFUSED,
        "이 작업을 담을 수 있는 사이트 {sites}곳의 {gpu_class} 제공 {offers}건 가운데 부문 {sector}, 데이터 등급 {data_class}, "
        "우선순위 {priority}에 빌려주는 것이 없습니다. 다른 GPU 종류를 쓰거나, 제공자에게 이 작업을 받는 제공을 요청하십시오.",
        "Of the {offers} offer(s) of {gpu_class} by the {sites} site(s) that could hold this job none serves sector {sector} "
        "with data class {data_class} and priority {priority}: name another GPU class, or ask a lender for an offer that does.",
    ),
    _C.TOO_FEW_LENT: (
        _K.REFUSED,
        "이 작업({workers}개 × GPU {gpus_per_worker}장)을 받을 수 있는 제공이 한 사이트에서 빌려주는 {gpu_class} 노드는 "
        "작업자 {workers_max}개까지만 담습니다. 더 적게 요청하거나, 제공자에게 노드를 더 요청하십시오.",
        "The nodes of {gpu_class} that a site offers to this gang ({workers} workers of {gpus_per_worker} GPUs) hold "
        "{workers_max} such workers at most: ask for fewer, or ask a lender for more nodes.",
    ),
    _C.WINDOWS_TOO_SHORT: (
        _K.REFUSED,
        "이 작업에 {gpu_class}을(를) 빌려주는 제공 {offers}건은 한 번에 길어야 {longest_seconds}초 동안 열립니다(walltime: "
        "{walltime}초). walltime을 {seconds_max}초 이하로 적거나, 그 안에 저장할 수 있는 체크포인트를 적으십시오.",
        "The {offers} offer(s) that lend {gpu_class} to this job are open for {longest_seconds} s at a stretch at the longest "
        "(its walltime: {walltime} s): write a walltime of {seconds_max} s at most, or a checkpoint that is saved in time.",
    ),
    _C.ONLY_RECALLABLE: (
        _K.REFUSED,
        "이 작업에 {gpu_class}을(를) 빌려주는 제공 {offers}건은 모두 회수되거나 끝날 수 있는데, 선점 불가 작업은 회수되지 않는 "
        "곳에서만 시작합니다. --not-preemptible을 빼거나 다른 GPU 종류를 쓰십시오.",
        "All of the {offers} offer(s) that lend {gpu_class} to this job may be recalled or end, and work that cannot be "
        "preempted starts only where nothing takes it back: leave out --not-preemptible, or name another GPU class.",
    ),
    _C.NEVER_OFFERED: (
        _K.REFUSED,
        "사이트 {site}은(는) 제공을 낸 적이 없어 회수할 것이 없습니다(제공 0건). 먼저 통보 기간이 있는 제공을 내십시오: "
        "`dure offer create --site {site} --gpu-class {gpu_class} --nodes N --notice 4h`. "
        "점검이라면 `dure reserve create`로 노드를 빼 두십시오.",
        "Site {site} never made an offer, so there is nothing to recall (0 offers). Make an offer with a notice first: "
        "`dure offer create --site {site} --gpu-class {gpu_class} --nodes N --notice 4h`. For maintenance set nodes aside with "
        "`dure reserve create`.",
    ),
    _C.NOTHING_TO_RECALL: (
        _K.REFUSED,
        "{at}에 사이트 {site}은(는) 회수할 수 있는 제공으로 {gpu_class}을(를) 빌려주지 않습니다"
        "(열린 제공 {offers}개, 그 가운데 통보 기간이 있는 것 0개). 다른 때나 종류를 고르거나 통보 기간이 있는 제공을 내십시오.",
        "At {at} site {site} lends no {gpu_class} by an offer that can be recalled "
        "({offers} open offer(s), 0 with a notice): choose another time or class, or make an offer "
        "with a notice.",
    ),
    _C.FEWER_LENT: (
        _K.REFUSED,
        "노드 {asked}개를 회수할 수 없습니다. {at}에 사이트 {site}이(가) 회수할 수 있게 빌려주는 {gpu_class} 노드는 "
        "{lent}개입니다(이미 회수 중 {recalled}개). 더 적게 요청하십시오.",
        "{asked} node(s) cannot be recalled: at {at} site {site} lends {lent} node(s) of {gpu_class} that can be "
        "({recalled} are under a recall already). Ask for fewer.",
    ),
    _C.RECALL_TOO_SOON: (
        _K.REFUSED,
        "{by}까지는 너무 이릅니다. 통보 기간({notice_seconds}초)과 실행의 최소 보장 시간을 지키면 가장 이른 때는 "
        "{earliest}이니, 그때나 그 뒤로 정하십시오.",
        "{by} is too soon: with the notice ({notice_seconds} s) and the runs' minimum hold the earliest is {earliest}.",
    ),
    _C.FEWER_NODES: (
        _K.REFUSED,
        "노드 {asked}개를 예약할 수 없습니다. 사이트 {site}에서 회수나 예약이 걸리지 않은 {gpu_class} 노드는 {nodes}개입니다. "
        "더 적게 예약하거나 다른 때를 고르십시오.",
        "{asked} node(s) cannot be reserved: site {site} has {nodes} node(s) of {gpu_class} that are not recalled or "
        "reserved already. Ask for fewer, or choose another time.",
    ),
    _C.NOT_LENT_NOW: (
        _K.WAITING,
        "GPU {asked}장이 필요한데 {free}장이 비어 있습니다. {site}은(는) 지금 {gpu_class} {gpus}장을 빌려주지 않습니다"
        "(다시 빌려주는 때: {opens_at}).",
        "It needs {asked} GPUs and {free} are free: {site} does not lend {gpus} of its {gpu_class} GPUs now (opens: {opens_at}).",
    ),
    _C.NOT_LENT_TO: (
        _K.WAITING,
        "{site}은(는) {gpu_class} {gpus}장을 빌려주지만 이 작업에는 빌려주지 않습니다(걸린 조건: {term}). "
        "이 작업에 비어 있는 것은 {free}장이고 {asked}장이 필요합니다.",
        "{site} lends {gpus} {gpu_class} GPUs, but not to this job (what keeps it out: {term}); {free} are free to it "
        "and it needs {asked}.",
    ),
    _C.LENT_TOO_SHORT: (
        _K.WAITING,
        "{site}의 {gpu_class}은(는) 비어 있지만 앞으로 {seconds_left}초 동안만 빌려줍니다. "
        "그 안에 끝나는 walltime이나 체크포인트를 적으면 시작할 수 있습니다.",
        "{site} has {gpu_class} free, but lends it for another {seconds_left} s only: a walltime that ends before, or a "
        "checkpoint, lets the job start.",
    ),
}
