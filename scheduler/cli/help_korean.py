"""The command line's help in Korean, by its English. A test holds that every text of every command stands here."""

from __future__ import annotations

from collections.abc import Mapping

KOREAN: Mapping[str, str] = {
    "2h from now, or 2026-12-24T18:00; else now.": "지금부터 2h, 또는 2026-12-24T18:00. 없으면 지금.",
    "A day on which nothing is lent, like 2026-12-24; may be repeated.": (
        "빌려주지 않는 날. 예: 2026-12-24. 여러 번 쓸 수 있습니다."
    ),
    "A job file (YAML). Without it: options and -- COMMAND.": "작업 파일(YAML). 없으면 옵션과 -- 뒤의 명령.",
    "A job's log: worker 0 by default.": "작업의 로그. 따로 쓰지 않으면 작업자 0.",
    "A new one-time token for the site's agent; its old credential is revoked when the token is used.": (
        "사이트 에이전트의 새 일회용 토큰. 토큰을 쓰면 이전 자격 증명은 폐기됩니다."
    ),
    "A policy file; may be repeated.": "정책 파일. 여러 번 쓸 수 있습니다.",
    "A site's agent: enrols once, then takes leases and reports what it observes.": (
        "사이트의 에이전트. 한 번 등록하고, 임대를 받아 실행하며 본 것을 알립니다."
    ),
    "A site's blocks, by GPU class, for its operators.": "운영자가 보는 사이트의 블록, GPU 종류별.",
    "A site's recalls that are not over, and how many runs still have to go.": (
        "끝나지 않은 사이트의 회수와, 아직 비켜야 할 실행의 수."
    ),
    "A site's reservations that are not over, and how many runs still have to go.": (
        "끝나지 않은 사이트의 예약과, 아직 비켜야 할 실행의 수."
    ),
    "A start counts at once for so long, e.g. 10m (administrators).": "시작마다 곧바로 이만큼 쓴 것으로 칩니다. 예: 10m(관리자).",
    "A supervisor beside every process.": "모든 프로세스 곁에 감독 프로그램을 둡니다.",
    "Address of a Ray dashboard; else this machine.": "Ray 대시보드의 주소. 없으면 이 컴퓨터에서 합니다.",
    "Address of the federation.": "연합 서버의 주소.",
    "Address to listen on.": "기다릴 주소.",
    "After so long use counts half, e.g. 7d (administrators).": "이만큼 지난 사용은 절반으로 칩니다. 예: 7d(관리자).",
    "All jobs you may see, not only your own.": "내 것만이 아니라 볼 수 있는 모든 작업.",
    "All nodes of a GPU class take work again.": "한 GPU 종류의 모든 노드가 다시 작업을 받습니다.",
    "An earlier run of the job.": "작업의 앞선 실행.",
    "An offer (YAML or JSON); what options say counts instead.": "제공(YAML이나 JSON). 옵션에 쓴 것이 앞섭니다.",
    "Answer for a silent site that is not supervised: none of its runs is alive any more.": (
        "감독되지 않는 사이트가 응답하지 않을 때, 살아 있는 실행이 없음을 책임지고 선언합니다."
    ),
    "Blocks: how many nodes of a leaf take work at a time; the others stay spares.": (
        "블록: 리프의 노드 가운데 한 번에 작업을 받는 수. 나머지는 예비로 남습니다."
    ),
    "CLASS or CLASS=SPEED, in order.": "이 가운데 하나. 앞의 것부터 보며, 종류나 종류=속도로 씁니다.",
    "As seen by this group.": "이 그룹이 볼 때.",
    "Ask for lent nodes back: those whose runs lose the least work. Shows which run is told to go when.": (
        "빌려준 노드를 돌려 달라고 합니다. 잃는 작업이 가장 적은 노드를 고르고, 어느 실행이 언제 중단 신호를 받는지 보여 줍니다."
    ),
    "At most so many.": "많아야 이만큼.",
    "Baselines beside it: fifo,easy,conservative,sjf.": "함께 견줄 기준: fifo,easy,conservative,sjf.",
    "Bring the schema of a database up to date; every process does so when it starts.": (
        "데이터베이스 스키마를 최신으로 바꿉니다. 모든 프로세스가 시작할 때 스스로 합니다."
    ),
    "C, S or O.": "C, S, O 가운데 하나.",
    "C, S or O; may be repeated.": "C, S, O 가운데 하나. 여러 번 쓸 수 있습니다.",
    "CPUs a worker.": "작업자마다 CPU 수.",
    "Cancelled once it cannot be over by then: 12h, 2026-12-24T18:00.": (
        "그때까지 끝날 수 없게 되면 취소합니다: 12h, 2026-12-24T18:00."
    ),
    "Create a group below its parent: `dure group create research.kaist.vision`.": (
        "상위 그룹 아래에 그룹을 만듭니다: `dure group create research.kaist.vision`."
    ),
    "Credits of a GPU-hour, like 1.25 or 5/4: an h100's is 1. What was charged stays.": (
        "GPU-시간당 크레딧. 예: 1.25 또는 5/4. h100은 1입니다. 이미 청구된 것은 그대로입니다."
    ),
    "Credits owed for a GPU-hour, like 1.25; else the table's.": "GPU-시간당 받을 크레딧. 예: 1.25. 없으면 환산표를 따릅니다.",
    "Data class of its jobs: C, S or O.": "작업의 자료 등급: C, S, O.",
    "Days on which it is open, like mon-fri or sat.": "여는 요일. 예: mon-fri, sat.",
    "Do not ask.": "묻지 않습니다.",
    "Dure (두레): one federation for a nation's AI compute.": "두레: 한 나라의 AI 컴퓨팅을 묶는 하나의 연합.",
    "Else DURE_ENROLMENT_TOKEN; needed once.": "없으면 DURE_ENROLMENT_TOKEN. 한 번만 필요합니다.",
    "Emergency stop: end everything of Dure's on the site at once.": "비상 정지: 사이트의 두레 실행을 모두 지금 끝냅니다.",
    "End jobs for good.": "작업을 아주 끝냅니다.",
    "End of submissions, in seconds.": "제출이 끝나는 때(초).",
    "Ended jobs too.": "끝난 작업도.",
    "Fetch a job's collected outputs.": "모아 둔 작업의 결과물을 받습니다.",
    "First day.": "첫날.",
    "First second of the trace.": "기록의 첫 초.",
    "Folder for the agent's own files.": "에이전트 자신의 파일을 둘 폴더.",
    "For somebody else (administrators).": "다른 사람의 것(관리자).",
    "Forget the stored token. It stays valid until it expires or is revoked.": (
        "저장된 토큰을 지웁니다. 토큰은 만료되거나 폐기될 때까지 유효합니다."
    ),
    "From a recall to its deadline, like 4h; none: no recall.": (
        "회수를 알린 때부터 기한까지. 예: 4h. none이면 회수하지 않습니다."
    ),
    "From when on: 2h from now, or 2026-12-24T18:00; else now.": (
        "언제부터인지: 지금부터 2h, 또는 2026-12-24T18:00. 없으면 지금."
    ),
    "GPU class, e.g. h100.": "GPU 종류. 예: h100.",
    "GPU classes, what a GPU-hour of each is worth, and how fast each is.": (
        "GPU 종류, 저마다의 GPU-시간이 얼마인지와 얼마나 빠른지."
    ),
    "GPUs in all, split among the workers (the fewest).": "모두 합한 GPU 수. 작업자(가장 적을 때)에게 나눕니다.",
    "Domains that it gets whole, e.g. leaf:4=2; replaces all.": "통째로 받는 도메인. 예: leaf:4=2. 모두 바꿉니다.",
    "GPUs it gets whenever it asks.": "요청하면 언제나 받는 GPU 수.",
    "GPUs that are free, and free for me, by class and site.": "비어 있는 GPU와 내가 쓸 수 있는 GPU, 종류와 사이트별로.",
    "Give a person a role on a group and all below it.": "사용자에게 그룹과 그 아래의 역할을 줍니다.",
    "Go on until the job ends.": "작업이 끝날 때까지 계속합니다.",
    "Group to charge, e.g. research.kaist.vision.": "할당량을 쓸 그룹. 예: research.kaist.vision.",
    "Groups, quotas, offers, order: YAML or JSON.": "그룹, 할당량, 제공, 순서: YAML이나 JSON.",
    "Group that alone may run there; else nobody.": "그곳에서 홀로 실행할 수 있는 그룹. 없으면 아무도 실행하지 못합니다.",
    "Have nothing run on nodes for a time, or one group alone; without nodes or class on the whole site. Tells who goes when.": (
        "한동안 노드에서 아무것도 실행하지 않거나 한 그룹만 실행합니다. "
        "노드나 종류를 쓰지 않으면 사이트 전체입니다. 어느 실행이 언제 중단 신호를 받는지 보여 줍니다."
    ),
    "Have the nodes take work again. Who was told to go goes.": (
        "노드가 다시 작업을 받습니다. 이미 중단 신호를 받은 실행은 비킵니다."
    ),
    "How fast it is, relative to others, like 1.4; for predictions. none: unknown.": (
        "다른 종류에 견주어 얼마나 빠른지. 예: 1.4. 예측에 씁니다. none이면 알 수 없음."
    ),
    "How near to the best possible the mean completion of jobs was, and what one more GPU would be worth, by class and site.": (
        "평균 완료 시간이 가능한 최선에 얼마나 가까웠는지, GPU가 하나 더 있다면 얼마나 도움이 될지를 종류와 사이트별로 봅니다."
    ),
    "How past use decays, which orders groups that are equal otherwise. It ends no running job.": (
        "과거 사용이 줄어드는 방식. 다른 것이 같은 그룹의 순서를 정합니다. 실행 중인 작업은 끝나지 않습니다."
    ),
    "How large a job's collected outputs may be, in the group and below.": (
        "그룹과 그 아래에서 작업의 결과물을 얼마까지 모을지 정합니다."
    ),
    "How long a lease lasts without renewal.": "임대가 갱신 없이 이어지는 시간.",
    "How long a run keeps its nodes at the least, like 30m.": "실행이 적어도 노드를 쓰는 시간. 예: 30m.",
    "How many nodes.": "노드 수.",
    "How many of the class: idle ones first.": "그 종류의 노드 수. 비어 있는 것부터 고릅니다.",
    "Install completion for the current shell.": "지금 쓰는 셸에 자동 완성을 설치합니다.",
    "It may begin again elsewhere, without its checkpoint.": "체크포인트 없이 다른 곳에서 처음부터 시작해도 됩니다.",
    "Its weight in what remains.": "남는 몫을 나눌 때의 가중치.",
    "Job log: .csv, .swf or .jsonl, or as .gz.": "작업 기록: .csv, .swf, .jsonl 또는 그 .gz.",
    "A job for each index: 0-99, or 0-99%10 for 10 at once.": "번호마다 작업 하나: 0-99, 한 번에 10개씩이면 0-99%10.",
    "Jobs of this array.": "이 배열의 작업.",
    "Nodes of a leaf that take work: 16 of an NVL72 rack.": "작업을 받는 리프의 노드 수. NVL72 랙이면 16.",
    "Not before this job or array has started; repeatable.": (
        "이 작업이나 배열이 시작한 뒤에 시작합니다. 여러 번 쓸 수 있습니다."
    ),
    "Numbers of jobs or arrays.": "작업이나 배열의 번호들.",
    "Only once this job or array succeeded; repeatable.": (
        "이 작업이나 배열이 성공한 뒤에만 시작합니다. 여러 번 쓸 수 있습니다."
    ),
    "Jobs of this group and below.": "이 그룹과 그 아래의 작업.",
    "Jobs that wait and run: mine by default.": "기다리고 실행되는 작업. 따로 쓰지 않으면 내 것.",
    "Keep queued jobs out of the rounds.": "대기 중인 작업을 판단에서 뺍니다.",
    "Last day.": "마지막 날.",
    "Lend no more by an offer, once its notice and minimum hold are over.": (
        "통보 기간과 최소 보장 시간이 지나면 제공을 닫습니다."
    ),
    "Lend nodes of a site. From its first offer on a site lends only inside offers.": (
        "사이트의 노드를 빌려줍니다. 첫 제공부터 사이트는 제공 안에서만 빌려줍니다."
    ),
    "Lend the nodes of a recall as before. Who was told to go goes.": (
        "회수를 철회하고 노드를 전처럼 빌려줍니다. 이미 중단 신호를 받은 실행은 비킵니다."
    ),
    "Length of the scenario.": "시나리오의 길이.",
    "Let held jobs go.": "보류한 작업을 풉니다.",
    "Made-up nation instead: korea.": "기록 대신 지어낸 나라: korea.",
    "Make a person an operator of the site.": "사용자를 사이트의 운영자로 합니다.",
    "Make a token useless at once.": "토큰을 지금 못 쓰게 합니다.",
    "Make a token. It is shown this once.": "토큰을 만듭니다. 이번 한 번만 보입니다.",
    "Make an administrator, with direct access to the database. Prints a token, this once.": (
        "데이터베이스에 직접 닿아 관리자를 만듭니다. 토큰을 한 번 출력합니다."
    ),
    "Many simulations in parallel: every policy with every seed. What stands after -- goes to each 'dure simulate'.": (
        "여러 모의실험을 나란히: 모든 정책을 모든 시드로. -- 뒤의 것은 각 'dure simulate'에 갑니다."
    ),
    "Memory a worker, e.g. 64GiB.": "작업자마다 메모리. 예: 64GiB.",
    "Move a group below another parent. It ends no running job.": (
        "그룹을 다른 상위 그룹 아래로 옮깁니다. 실행 중인 작업은 끝나지 않습니다."
    ),
    "NAME=VALUE for the job.": "작업에 줄 NAME=VALUE.",
    "Name of a node; may be repeated.": "노드의 이름. 여러 번 쓸 수 있습니다.",
    "Name of the job.": "작업의 이름.",
    "Name of the person.": "사용자의 이름.",
    "Name of the site.": "사이트의 이름.",
    "Name of this agent; the host's by default.": "이 에이전트의 이름. 없으면 호스트의 이름.",
    "New work again, after a cordon, drain or stop.": "cordon, drain, stop 뒤에 새 작업을 다시 받습니다.",
    "No more jobs than this.": "작업은 이만큼까지.",
    "Nodes and groups as JSON.": "노드와 그룹(JSON).",
    "Nodes of a site set aside for maintenance, or for a group.": "유지보수나 한 그룹을 위해 따로 둔 사이트의 노드.",
    "Nodes of this GPU class; all without --nodes.": "이 GPU 종류의 노드. --nodes가 없으면 모두.",
    "Nothing new on the site, which is meant to become empty.": "새 작업을 받지 않고 사이트를 비웁니다.",
    "Nothing new on the site; what runs goes on.": "새 작업을 받지 않습니다. 실행 중인 것은 계속됩니다.",
    "Number of the offer.": "제공의 번호.",
    "Number of the recall.": "회수의 번호.",
    "Number of the reservation.": "예약의 번호.",
    "Number of the token.": "토큰의 번호.",
    "Of this group and below.": "이 그룹과 그 아래의.",
    "Of this site only.": "이 사이트의 것만.",
    "Offers of the sites that I operate, and how their windows stand.": "내가 운영하는 사이트의 제공과, 지금 열려 있는지.",
    "Offers: what a site lends, when, to whom and on which terms.": (
        "제공: 사이트가 무엇을 언제 누구에게 어떤 조건으로 빌려주는지."
    ),
    "One group.": "그룹 하나.",
    "One job in full, with its runs.": "작업 하나를 실행까지 모두.",
    "One site; its operators also see what runs there, and the nodes that are set aside.": (
        "사이트 하나. 운영자는 거기서 실행되는 것과 따로 둔 노드도 봅니다."
    ),
    "A site's nodes, and what failed on them within a day by the node's doing.": (
        "사이트의 노드와, 하루 안에 노드 탓으로 실패한 실행의 수."
    ),
    "Name of the node, as the site reports it.": "사이트가 알린 노드의 이름.",
    "Nodes of a site, and those that are set aside.": "사이트의 노드와, 따로 둔 노드.",
    "Nothing new on the node until it is given back; what runs there goes on.": (
        "되돌릴 때까지 노드에 새 작업을 두지 않습니다. 실행 중인 것은 계속됩니다."
    ),
    "Only those that are set aside.": "따로 둔 노드만.",
    "Recalls: a lender asks for lent nodes back.": "회수: 빌려준 노드를 돌려달라고 합니다.",
    "Set what a GPU-hour of a class is worth, which makes a new one known, or how fast it is (administrators).": (
        "한 종류의 GPU-시간이 얼마인지 정하거나(새 종류면 알려집니다) 얼마나 빠른지 정합니다(관리자)."
    ),
    "So many nodes of each leaf take work, and a spare as soon as one of them is not well. What runs goes on.": (
        "리프마다 그만큼의 노드가 작업을 받고, 그중 하나가 고장 나면 예비 노드가 대신합니다. 실행 중인 것은 계속됩니다."
    ),
    "The exchange table, by class and date.": "환산표, 종류와 날짜순.",
    "The exchange table, by class and date, and how fast classes are.": "환산표(종류와 날짜순)와 종류마다의 속도.",
    "What was done to a site and its nodes, and why; the oldest first.": (
        "사이트와 그 노드에 한 일과 사유. 오래된 것부터."
    ),
    "Work again on a node that was set aside; what failed there before counts no more.": (
        "따로 둔 노드가 다시 작업을 받습니다. 전에 실패한 것은 더 세지 않습니다."
    ),
    "Only inside the guarantee.": "보장분 안에서만.",
    "Only these states.": "이 상태만.",
    "Output files to collect.": "모을 결과 파일.",
    "How large the collected files may be together, as 512MiB.": "모을 파일을 합친 크기의 한도. 예: 512MiB.",
    "Part of the scenario's nodes.": "시나리오 노드 가운데 쓸 비율.",
    "Path of the group, e.g. research.kaist.vision.": "그룹의 경로. 예: research.kaist.vision.",
    "Path of the group.": "그룹의 경로.",
    "Path of the new parent.": "새 상위 그룹의 경로.",
    "A list of quotas (YAML or JSON).": "할당량 목록(YAML 또는 JSON).",
    "Site whose nodes are lent.": "노드를 빌려주는 사이트.",
    "The least priority class that is served.": "받는 작업의 가장 낮은 우선순위 등급.",
    "The lender's own group.": "빌려주는 쪽의 그룹.",
    "What a group and all below it were charged, by GPU class; work that was destroyed for others is charged to nobody.": (
        "그룹과 그 아래에 청구된 것을 GPU 종류별로 봅니다. 다른 작업을 위해 사라진 작업분은 누구에게도 청구되지 않습니다."
    ),
    "What a site's owner is owed for what was used there, by GPU class.": (
        "그 사이트에서 쓰인 만큼 소유자가 받을 것을 GPU 종류별로 봅니다."
    ),
    "What a change of quotas would do to the live queue. Nothing is set; a field that is left out keeps what stands.": (
        "할당량을 바꾸면 지금의 대기열이 어떻게 되는지 보여 줍니다. 아무것도 설정하지 않으며, 빠진 항목은 그대로입니다."
    ),
    "What for; kept in the record and shown.": "사유. 기록에 남고 함께 보입니다.",
    "When it closes, like 08:00; not after --from: on the next day.": (
        "닫는 시각. 예: 08:00. --from보다 뒤가 아니면 다음 날입니다."
    ),
    "When it ends; else once it is withdrawn.": "끝나는 때. 없으면 철회할 때까지.",
    "When it opens on these days, like 19:00.": "그 요일에 여는 시각. 예: 19:00.",
    "When no run may be left on them: 4h from now, or 2026-12-24T18:00.": (
        "실행이 하나도 남지 않아야 하는 때. 지금부터 4h, 또는 2026-12-24T18:00."
    ),
    "When they are lent again; else once it is withdrawn.": "다시 빌려주는 때. 없으면 철회할 때까지.",
    "When waiting jobs would start, by walltimes.": "대기 작업이 언제 시작될지, 제한 시간으로 추정.",
    "HOST:PORT for /healthz, /readyz and /metrics; else none.": "/healthz, /readyz, /metrics를 내줄 HOST:PORT. 없으면 열지 않음.",
    "Port to listen on.": "기다릴 포트.",
    "Quota and use of groups. Without a command: of my groups.": "그룹의 할당량과 사용량. 명령이 없으면 내 그룹의 것.",
    "Quota and use of one group, by GPU class.": "한 그룹의 할당량과 사용량, GPU 종류별로.",
    "Reason, kept in the record.": "기록에 남는 사유.",
    "Register a site; the one-time enrolment token for its agent is shown this once.": (
        "사이트를 등록합니다. 에이전트의 일회용 등록 토큰은 이번 한 번만 보입니다."
    ),
    "Replay a job log with the scheduler that production runs. Needs no server.": (
        "실제 스케줄러로 작업 기록을 다시 돌립니다. 서버가 필요 없습니다."
    ),
    "Roles of people on groups.": "그룹에서 사용자의 역할.",
    "SIZE such as 10GiB, or none: as the group above it.": "10GiB 같은 크기. none이면 상위 그룹과 같습니다.",
    "Say whether, where and at what cost; submit nothing.": "시작 여부와 곳, 비용만 알리고 제출하지 않습니다.",
    "Seeds 0 to this, less one.": "0부터 이보다 하나 작은 시드까지.",
    "Send running jobs back to the queue, by their checkpoint where they have one.": (
        "실행 중인 작업을 대기열로 돌려보냅니다. 체크포인트가 있으면 저장합니다."
    ),
    "Server and scheduler in one process; no other service is needed.": (
        "서버와 스케줄러를 한 프로세스에서. 다른 서비스가 필요 없습니다."
    ),
    "Set a group's quota for a GPU class; what is not named stays as it is. It ends no running job.": (
        "그룹의 GPU 종류별 할당량을 정합니다. 쓰지 않은 값은 그대로입니다. 실행 중인 작업은 끝나지 않습니다."
    ),
    "Shake gaps by 1 ± this.": "제출 간격을 1 ± 이만큼 흔듭니다.",
    "Show completion for the current shell, to copy it or customize the installation.": (
        "지금 쓰는 셸의 자동 완성을 보입니다. 복사하거나 고쳐 쓸 수 있습니다."
    ),
    "Show states and log until it ends.": "끝날 때까지 상태와 로그를 보입니다.",
    "Show this message and exit.": "이 도움말을 보이고 끝냅니다.",
    "Sign in with a token and keep it for the commands that follow.": "토큰으로 로그인하고 다음 명령을 위해 저장합니다.",
    "Sites, and what is free on them.": "사이트와 거기에 비어 있는 것.",
    "Sites: clusters behind an agent.": "사이트: 에이전트 뒤의 클러스터.",
    "Somebody else's (administrators).": "다른 사람의 것(관리자).",
    "Submissions this much denser.": "제출을 이만큼 촘촘하게.",
    "Submit a job: `dure submit job.yaml`, or `dure submit --group G --gpus 8 -- python train.py`.": (
        "작업을 제출합니다: `dure submit job.yaml` 또는 `dure submit --group G --gpus 8 -- python train.py`."
    ),
    "Take a role away. The person's running jobs go on; a manager may cancel them.": (
        "역할을 거둡니다. 그 사람의 실행 중인 작업은 계속되고, 관리자가 취소할 수 있습니다."
    ),
    "Take the role away.": "역할을 거둡니다.",
    "The HTTP server alone; any number of them.": "HTTP 서버만. 몇 개든 띄울 수 있습니다.",
    "The group tree.": "그룹 트리.",
    "The groups I may see.": "내가 볼 수 있는 그룹.",
    "The job's number.": "작업의 번호.",
    "The one trust domain it serves when it does not isolate its users.": (
        "사용자를 격리하지 않는 사이트가 섬기는 단 하나의 신뢰 영역."
    ),
    "The reason, kept in the record and shown with the site.": "기록에 남고 사이트와 함께 보이는 사유.",
    "The record: who changed what, and why; the oldest first.": "기록: 누가 무엇을 왜 바꿨는지, 오래된 것부터.",
    "The same seed gives the same result.": "같은 시드는 같은 결과를 냅니다.",
    "The scheduler alone: one leads, others stand by.": "스케줄러만. 하나가 이끌고 나머지는 기다립니다.",
    "The state's own building.": "국가 소유의 건물.",
    "The network is cut off for classified work.": "비밀 업무용으로 분리된 망.",
    "The most it uses, N or none.": "가장 많이 쓸 수 있는 수. N이나 none.",
    "The most it borrows, N or none.": "가장 많이 빌릴 수 있는 수. N이나 none.",
    "The most it lends, N or none.": "가장 많이 빌려줄 수 있는 수. N이나 none.",
    "The token; better read from the prompt or standard input (-).": (
        "토큰. 물음에 답하거나 표준 입력(-)으로 주는 편이 낫습니다."
    ),
    "Tokens, without their secrets.": "토큰들. 비밀은 보이지 않습니다.",
    "Tokens: each acts for one person.": "토큰: 저마다 한 사람을 대신합니다.",
    "Tries after a failure.": "실패한 뒤 다시 해 볼 횟수.",
    "Users cannot reach each other's work.": "사용자끼리 서로의 작업에 닿을 수 없습니다.",
    "What the token is for.": "토큰의 쓰임.",
    "Where they stand; the owner's by default.": "장비가 있는 곳. 없으면 소유자의 곳.",
    "Where to put the outputs.": "결과물을 둘 곳.",
    "Which jobs of one priority go first, in the group and below. It ends no running job.": (
        "우선순위가 같은 작업 가운데 무엇이 먼저인지(그룹과 그 아래). 실행 중인 작업은 끝나지 않습니다."
    ),
    "Who I am here, and what I may.": "여기서 내가 누구이며 무엇을 할 수 있는지.",
    "Who has a role on a group.": "그룹에 역할이 있는 사람.",
    "Who is served: public, startup, research, national, partner; may be repeated.": (
        "받는 부문: public, startup, research, national, partner. 여러 번 쓸 수 있습니다."
    ),
    "Who operates a site.": "사이트를 운영하는 사람.",
    "Who owns the machines.": "장비의 소유자.",
    "Who runs them; the owner by default.": "장비의 운영자. 없으면 소유자.",
    "Who trusts one another on a shared machine.": "한 컴퓨터를 함께 써도 되는 신뢰 영역.",
    "Whose clocks these are.": "이 시각들의 시간대.",
    "Why a job waits, with numbers, for every site considered, and what would start it.": (
        "작업이 기다리는 까닭을 사이트마다 수와 함께 말하고, 무엇이 있으면 시작하는지 알립니다."
    ),
    "Work out what no schedule could beat; may take long.": "어떤 일정도 넘을 수 없는 한계를 구합니다. 오래 걸릴 수 있습니다.",
    "Worker of the gang.": "작업자의 번호.",
    "Workers of the gang: 4, or 2:8 for an elastic one.": "함께 시작하는 작업자 수. 4, 또는 늘고 주는 작업이면 2:8.",
    "Working directory to send.": "보낼 작업 폴더.",
    "Write a page with plots here, as HTML.": "그림이 있는 HTML 보고서를 여기에 씁니다.",
    "Write every figure here.": "모든 수치를 여기에 씁니다.",
    "Write every run segment here, as CSV.": "모든 실행 구간을 CSV로 여기에 씁니다.",
    "e.g. 1h30m; the job is ended then.": "예: 1h30m. 그때 작업을 끝냅니다.",
    "e.g. 30d.": "예: 30d.",
    "ko or en; else from the locale.": "ko나 en. 없으면 로캘을 따릅니다.",
    "least_work: the least predicted GPU time left first; least_served: the least GPU time had first.": (
        "least_work는 남은 예상 GPU 시간이, least_served는 지금까지 받은 GPU 시간이 적은 작업부터."
    ),
    "local: COUNTxGPUS:CLASS, e.g. 4x8:h100; may be repeated.": "local: 개수xGPU수:종류. 예: 4x8:h100. 여러 번 쓸 수 있습니다.",
    "local: the same as TOML.": "local: 같은 것을 TOML로.",
    "low, normal or high.": "low, normal, high 가운데 하나.",
    "none, low, mid or high.": "none, low, mid, high 가운데 하나.",
    "public, startup, research, national or partner (top level).": (
        "public, startup, research, national, partner 가운데 하나(맨 위 그룹)."
    ),
    "ray or local.": "ray나 local.",
    "ray: address for the site's own gangs.": "ray: 사이트의 작업자들이 에이전트에 닿을 주소.",
    "ray: class of nodes that do not say theirs.": "ray: 종류를 알리지 않는 노드의 GPU 종류.",
    "ray: the dashboard's address.": "ray: 대시보드의 주소.",
    "read, submit, manage.": "read, submit, manage.",
    "redis://…: wake-ups between processes.": "redis://…: 프로세스 사이의 알림.",
    "sqlite:///FILE or postgresql://….": "sqlite:///파일 또는 postgresql://….",
    "table, wide, json, yaml or name.": "table, wide, json, yaml, name 가운데 하나.",
    "viewer, submitter, manager; on federation administrator, auditor.": (
        "viewer, submitter, manager. federation에서는 administrator, auditor."
    ),
    "Processes of a federation": "연합의 프로세스",
}
