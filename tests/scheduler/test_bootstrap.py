"""The composition root: what a process is made of, its first administrator, and what the environment may set."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from eventually import eventually
from runtime import make_runtime

from scheduler.bootstrap import Wiring, first_administrator, open_runtime, settings_from_environment
from scheduler.clock import ManualClock
from scheduler.model.errors import ConfigurationError
from scheduler.model.reason import ReasonCode, Refusal
from scheduler.service.caller import Caller, Scope
from scheduler.service.runtime import ACCESS_TOPIC
from scheduler.service.settings import Settings
from scheduler.store import gpu_classes, memberships


def test_the_first_administrator_holds_a_token_that_ends(tmp_path: Path) -> None:
    clock = ManualClock()
    with make_runtime(tmp_path, clock) as runtime:
        secret = first_administrator(runtime, "jiwoo", lifetime_seconds=60)
        caller = runtime.callers.find(secret)
        assert isinstance(caller, Caller)
        assert (caller.person, caller.administrator, caller.may(Scope.MANAGE)) == ("jiwoo", True, True)
        clock.advance(60)
        late = runtime.callers.find(secret)
        assert isinstance(late, Refusal)
        assert late.reasons[0].code is ReasonCode.TOKEN_EXPIRED


def test_a_lost_token_is_made_good_by_another_and_the_role_is_held_once(tmp_path: Path) -> None:
    with make_runtime(tmp_path) as runtime:
        secrets = {first_administrator(runtime, "jiwoo") for _ in range(3)}
        callers = [runtime.callers.find(secret) for secret in secrets]
        assert len(secrets) == 3
        assert {each.person_id for each in callers if isinstance(each, Caller)} == {1}
        with runtime.database.read() as connection:
            assert len(memberships.of_person(connection, 1)) == 1


def test_a_process_that_starts_again_finds_what_it_left(tmp_path: Path) -> None:
    wiring = Wiring(database_url=f"sqlite:///{tmp_path / 'dure.sqlite'}")
    with open_runtime(wiring) as runtime:
        secret = first_administrator(runtime, "jiwoo")
        with runtime.database.read() as connection:
            classes = gpu_classes.every(connection)
    with open_runtime(wiring) as runtime:
        assert isinstance(runtime.callers.find(secret), Caller)
        with runtime.database.read() as connection:
            assert gpu_classes.every(connection) == classes


def test_roles_that_another_process_changed_are_seen_when_it_says_so(tmp_path: Path) -> None:
    with make_runtime(tmp_path, settings=Settings(staleness_seconds_max=3600)) as runtime:
        secret = first_administrator(runtime, "jiwoo")
        assert isinstance(runtime.callers.find(secret), Caller)
        assert runtime.callers.remembered(secret) is not None
        runtime.bus.publish(ACCESS_TOPIC)
        eventually(lambda: runtime.callers.remembered(secret) is None, 10, "the caller is forgotten")


def test_the_environment_sets_rates_and_cookies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DURE_RATE_PER_SECOND", "7")
    monkeypatch.setenv("DURE_RATE_BURST", "9")
    monkeypatch.setenv("DURE_SECURE_COOKIES", "1")
    settings = settings_from_environment(Settings())
    assert (settings.rate_per_second, settings.rate_burst, settings.secure_cookies) == (7.0, 9, True)


def test_the_environment_says_how_often_the_certificate_is_made(monkeypatch: pytest.MonkeyPatch) -> None:
    assert settings_from_environment(Settings()).certificate_seconds == 60
    monkeypatch.setenv("DURE_CERTIFICATE_SECONDS", "900")
    assert settings_from_environment(Settings()).certificate_seconds == 900


def test_the_environment_says_how_long_a_run_may_count_on(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    assert settings_from_environment(Settings()).preemption.minimum_run_ms == 600_000
    monkeypatch.setenv("DURE_MINIMUM_RUN_SECONDS", "0")
    settings = settings_from_environment(Settings())
    assert settings.preemption.minimum_run_ms == 0
    with make_runtime(tmp_path, settings=settings) as runtime:
        assert runtime.world.snapshot().preemption.minimum_run_ms == 0
    monkeypatch.setenv("DURE_MINIMUM_RUN_SECONDS", "-1")
    with pytest.raises(ConfigurationError, match="DURE_MINIMUM_RUN_SECONDS"):
        settings_from_environment(Settings())


@pytest.mark.parametrize("text", ["", "0", "-1", "many", "1.5", "²"])
def test_a_rate_that_is_no_whole_number_above_zero_is_refused(monkeypatch: pytest.MonkeyPatch, text: str) -> None:
    monkeypatch.setenv("DURE_RATE_BURST", text)
    with pytest.raises(ConfigurationError, match="DURE_RATE_BURST"):
        settings_from_environment(Settings())


@pytest.mark.slow
def test_whatever_is_logged_is_one_line_of_json() -> None:
    odd = [2**70, "half a character: \ud800", {1: 2}, {"a", "b"}, b"bytes", "한글"]
    program = f"""
import logging, structlog
from scheduler.bootstrap import log_as_json
log_as_json()
for number, each in enumerate({odd!r}):
    structlog.get_logger().info("odd", number=number, odd=each)
logging.getLogger("a.library").warning("it is %s", "away")
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True, timeout=60)
    *ours, library = [json.loads(line) for line in done.stderr.splitlines()]
    assert [each["number"] for each in ours] == list(range(len(odd)))
    assert (library["event"], library["level"], library["logger"]) == ("it is away", "warning", "a.library")
