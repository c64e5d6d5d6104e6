"""The names of states, phases, causes, actions, rules and events in words, Korean and English.

Programs read the names; people read the words. A name that is not known here stands as it is.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import Literal

Language = Literal["ko", "en"]
Words = Mapping[str, tuple[str, str]]


class WordKind(StrEnum):
    """What sort of name a word stands for: some names, such as ``cancelled``, are of two kinds."""

    STATE = "state"  #: of a job, a run (its phase) or a site
    CAUSE = "cause"  #: why a run ended or is being stopped
    CATEGORY = "category"  #: of how a run failed
    ACTION = "action"
    RULE = "rule"  #: by which a site may not serve a data class
    TERM = "term"  #: on which a site does not lend to a job
    EVENT = "event"
    ACTOR = "actor"  #: who did something, where it was no person
    ORDER = "order"  #: of the jobs inside a group


#: kind: name: (Korean, English)
WORDS: Mapping[WordKind, Words] = {
    WordKind.STATE: {
        "queued": ("대기", "queued"),
        "held": ("보류", "held"),
        "leased": ("배정됨", "leased"),
        "starting": ("시작 중", "starting"),
        "running": ("실행 중", "running"),
        "preempting": ("선점 중", "preempting"),
        "cancelling": ("취소 중", "cancelling"),
        "unreachable": ("응답 없음", "unreachable"),
        "succeeded": ("성공", "succeeded"),
        "failed": ("실패", "failed"),
        "cancelled": ("취소됨", "cancelled"),
        "ended": ("끝남", "ended"),
        "active": ("운영", "active"),
        "cordoned": ("신규 중단", "cordoned"),
        "draining": ("비우는 중", "draining"),
        "stopped": ("정지", "stopped"),
        "open": ("열림", "open"),
        "closing": ("닫는 중", "closing"),
        "closed": ("닫힘", "closed"),
        "withdrawn": ("철회됨", "withdrawn"),
        "over": ("기간 끝남", "over"),
    },
    WordKind.CAUSE: {
        "exited": ("명령 종료", "the command ended"),
        "walltime": ("실행 시간 초과", "its walltime was over"),
        "cancelled": ("취소", "cancelled"),
        "requeued": ("다시 대기열로", "sent back to the queue"),
        "site_stopped": ("사이트 비상 정지", "the site's emergency stop"),
        "preempted": ("우선순위가 높은 작업에 양보", "for a job of higher priority"),
        "reclaimed": ("다른 그룹의 몫 회수", "for another group's share"),
        "recalled": ("제공자 회수", "recalled by the lender"),
        "moved": ("다른 자리로 옮김", "moved to make room"),
        "shrunk": ("작업자 수를 줄임", "goes on with fewer workers"),
        "grown": ("작업자 수를 늘림", "goes on with more workers"),
        "start_failed": ("시작 실패", "it could not be started"),
        "refused": ("사이트 거절", "the site refused it"),
        "node_lost": ("노드 유실", "a node was lost"),
        "driver_lost": ("실행 관리 프로세스 유실", "the engine's process for it was lost"),
        "lease_expired": ("임차 만료", "its lease ran out"),
        "vanished": ("에이전트 기록에 없음", "the agent knew it no more"),
        "withdrawn": ("시작 전 회수", "taken back before it started"),
        "declared_lost": ("운영자 유실 선언", "declared lost by the operator"),
    },
    WordKind.CATEGORY: {
        "program": ("프로그램", "the program"),
        "memory": ("메모리 부족", "memory"),
        "walltime": ("실행 시간", "walltime"),
        "infrastructure": ("기반 시설", "infrastructure"),
        "policy": ("양보", "made way"),
        "owner": ("소유자", "its owner"),
    },
    WordKind.ACTION: {
        "cancel": ("취소", "cancel"),
        "hold": ("보류", "hold"),
        "release": ("보류 해제", "release"),
        "requeue": ("다시 대기열로", "requeue"),
        "close": ("닫기", "close"),
        "withdraw": ("철회", "withdraw"),
    },
    WordKind.RULE: {
        "csap": ("CSAP 등급", "the CSAP grade"),
        "facility": ("국가 시설", "a state facility"),
        "network": ("기밀망", "a classified network"),
        "isolation": ("사용자 격리", "isolation of users"),
        "trust_domain": ("신뢰 영역", "the trust domain"),
    },
    WordKind.TERM: {
        "group": ("다른 그룹을 위한 예약", "reserved for another group"),
        "sector": ("부문", "the sector"),
        "data_class": ("데이터 등급", "the data class"),
        "priority": ("우선순위", "the priority"),
        "recallable": ("선점 불가 작업", "work that cannot be preempted"),
        "cells": ("다른 그룹의 셀", "cells of other groups"),
        "too_short": ("빌려주는 기간", "for how long it is lent"),
    },
    WordKind.EVENT: {
        "job.submitted": ("제출됨", "submitted"),
        "job.state": ("상태 변경", "state changed"),
        "job.dependencies_met": ("앞선 작업 완료", "waits for no other job any more"),
        "job.earmarked": ("자리 확보 중", "nodes are held for it"),
        "job.earmark_withdrawn": ("확보한 자리 취소", "the held nodes are given up"),
        "job.outputs": ("결과물 도착", "outputs arrived"),
        "run.corrected": ("실행 시각 정정", "times of a run corrected"),
    },
    WordKind.ORDER: {
        "fifo": ("먼저 낸 작업부터", "first come, first in turn"),
        "least_work": ("남은 예상 GPU 시간이 적은 작업부터", "least predicted GPU time left first"),
        "least_served": ("받은 GPU 시간이 적은 작업부터", "least GPU time had first"),
    },
    WordKind.ACTOR: {
        "scheduler": ("스케줄러", "scheduler"),
        "agent": ("에이전트", "agent"),
    },
}


def word(kind: WordKind, name: str, language: Language) -> str:
    """``name`` in words. What stands behind a colon, as the site in ``agent:site``, stays as it is."""
    first, colon, rest = name.partition(":")
    known = WORDS[kind].get(first)
    if known is None:
        return name
    return f"{known[0] if language == 'ko' else known[1]}{' ' if colon else ''}{rest}"
