"""What a site says that it did not take of a run's outputs."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

#: Sites speak English; the sentences of ours are known, and of a gang begin with the worker.
_SENTENCE = re.compile(r"(?:worker (?P<rank>\d+): )?(?P<said>.*)", re.DOTALL)
_NAMES = r"(?P<names>.*?)(?: and (?P<more>\d+) more)?"
_KOREAN = tuple(
    (re.compile(english, re.DOTALL), korean)
    for english, korean in (
        (
            rf"outputs left out, above the limit of (?P<limit>\d+) bytes: {_NAMES}",
            "한도 {limit}바이트를 넘어 뺀 결과물",
        ),
        (
            rf"outputs left out, links that leave the working directory: {_NAMES}",
            "작업 폴더 밖을 가리키는 링크라서 뺀 결과물",
        ),
        (rf"outputs left out, too many files: {_NAMES}", "파일이 너무 많아 뺀 결과물"),
        (r"outputs left out, they did not arrive", "결과물이 도착하지 않았습니다"),
        (r"the outputs could not be taken: (?P<names>.*)(?P<more>)", "결과물을 가져오지 못했습니다"),
    )
)


def left_out_of(job: Mapping[str, Any]) -> str | None:
    """What the site says that it did not take of the newest run's outputs, and why; None where it took all."""
    runs = job.get("runs") or []
    newest = max(runs, key=lambda run: int(run["epoch"]), default=None)
    told = str((newest or {}).get("message") or "").split("; ")
    return "; ".join(part for part in told if "outputs" in part) or None


def korean_left_out(left_out: str) -> str:
    """The same in Korean; a sentence that is not known stays as it is."""
    return "; ".join(map(_korean_of, left_out.split("; ")))


def _korean_of(sentence: str) -> str:
    parts = _SENTENCE.fullmatch(sentence)
    assert parts is not None
    for english, korean in _KOREAN:
        found = english.fullmatch(parts["said"])
        if found is not None:
            values = found.groupdict()
            who = f"작업자 {parts['rank']}: " if parts["rank"] else ""
            names = f": {values['names']}" if values.get("names") else ""
            more = f" 외 {values['more']}개" if values.get("more") else ""
            return f"{who}{korean.format_map(values)}{names}{more}"
    return sentence
