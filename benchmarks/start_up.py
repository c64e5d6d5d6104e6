"""How long ``dure --help`` takes, a new process each time: ``python -m benchmarks.start_up``; one line of JSON."""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from statistics import median

_HELP = "from scheduler.main import run; run()"


def _measured(arguments: list[str]) -> tuple[float, float, float]:
    """User, system and wall seconds of one process whose output nobody reads."""
    environment = {**os.environ, "LC_ALL": "C.UTF-8", "TERM": "dumb"}
    silent = [(os.POSIX_SPAWN_OPEN, 1, os.devnull, os.O_WRONLY, 0)]
    started = time.perf_counter()
    process = os.posix_spawn(sys.executable, [sys.executable, *arguments], environment, file_actions=silent)
    _, status, used = os.wait4(process, 0)
    wall_seconds = time.perf_counter() - started
    if os.waitstatus_to_exitcode(status) != 0:
        raise RuntimeError(f"{arguments} ended with {os.waitstatus_to_exitcode(status)}: no figure")
    return used.ru_utime, used.ru_stime, wall_seconds


def _medians(runs: list[tuple[float, float, float]]) -> dict[str, float]:
    names = ("user_seconds", "system_seconds", "wall_seconds")
    return {name: round(median(run[index] for run in runs), 4) for index, name in enumerate(names)}


def main() -> None:
    """Measure help and an interpreter that does nothing in turn, after one of each that reads the files into memory."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--repeats", type=int, default=20)
    options = parser.parse_args()
    lines = {"help": ["-c", _HELP, "--help"], "interpreter_alone": ["-c", "pass"]}
    for arguments in lines.values():
        _measured(arguments)
    runs: dict[str, list[tuple[float, float, float]]] = {name: [] for name in lines}
    for _ in range(options.repeats):
        for name, arguments in lines.items():
            runs[name].append(_measured(arguments))
    figures = {f"{name}_{field}": value for name, each in runs.items() for field, value in _medians(each).items()}
    print(json.dumps({"repeats": options.repeats, **figures}))


if __name__ == "__main__":
    main()
