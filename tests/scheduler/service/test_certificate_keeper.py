"""The slow loop: one certificate at a time, none too often, and no round waits for it."""

from __future__ import annotations

import threading
from collections.abc import Callable

import pytest
from eventually import eventually
from runtime import Stage

from scheduler.model.errors import StoreUnavailable
from scheduler.service import certificate_keeper
from scheduler.service.certificate import show_certificate
from scheduler.service.certificate_keeper import PAUSED_FOR_ITS_COST, CertificateKeeper
from scheduler.service.loop import SchedulerLoop
from scheduler.store import leadership


@pytest.fixture
def keeper(stage: Stage) -> CertificateKeeper:
    """That of a scheduler which leads."""
    return CertificateKeeper(stage.runtime)


def refresh(stage: Stage, keeper: CertificateKeeper) -> int | None:
    """What a turn of the loop does, until all is done; when the newest was made."""
    keeper.refresh_when_due(stage.follower.federation.snapshot, stage.fence)
    keeper.wait()
    told = show_certificate(stage.runtime).certified
    return None if told is None else told.made_ms


def makes(monkeypatch: pytest.MonkeyPatch, make: Callable[[], None]) -> list[int]:
    """Have ``make`` called in the place of making a certificate; a list that grows by an entry each time."""
    made = list[int]()

    def instead(*_: object) -> None:
        made.append(len(made))
        make()

    monkeypatch.setattr(certificate_keeper, "keep_certificate", instead)
    return made


def test_the_first_is_made_at_once_and_the_next_when_it_is_time(stage: Stage, keeper: CertificateKeeper) -> None:
    begin_ms, every_seconds = stage.clock.now_ms(), stage.runtime.settings.certificate_seconds
    assert refresh(stage, keeper) == begin_ms
    stage.clock.advance(every_seconds - 1)
    assert refresh(stage, keeper) == begin_ms
    stage.clock.advance(1)
    assert refresh(stage, keeper) == begin_ms + every_seconds * 1000


def test_no_round_waits_and_one_is_made_at_a_time(
    stage: Stage, keeper: CertificateKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    let_go, let_go_in_time = threading.Event(), list[bool]()
    made = makes(monkeypatch, lambda: let_go_in_time.append(let_go.wait(10)))
    for _ in range(3):
        keeper.refresh_when_due(stage.follower.federation.snapshot, stage.fence)
        stage.clock.advance(86_400)
    let_go.set()
    keeper.wait()
    assert (made, let_go_in_time) == ([0], [True])


def test_one_that_took_long_is_not_made_as_often(
    stage: Stage, keeper: CertificateKeeper, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = makes(monkeypatch, lambda: stage.clock.advance(100))
    refresh(stage, keeper)
    refresh(stage, keeper)
    stage.clock.advance(100 * (PAUSED_FOR_ITS_COST - 1) - 1)
    refresh(stage, keeper)
    assert made == [0]
    stage.clock.advance(1)
    refresh(stage, keeper)
    assert made == [0, 1]


@pytest.mark.parametrize("fault", [StoreUnavailable("away"), RuntimeError("a fault")], ids=["away", "fault"])
def test_one_that_could_not_be_made_is_tried_again_when_it_is_time(
    stage: Stage, keeper: CertificateKeeper, monkeypatch: pytest.MonkeyPatch, fault: Exception
) -> None:
    def fail() -> None:
        raise fault

    made = makes(monkeypatch, fail)
    refresh(stage, keeper)
    refresh(stage, keeper)
    stage.clock.advance(stage.runtime.settings.certificate_seconds)
    refresh(stage, keeper)
    assert made == [0, 1]


def test_the_scheduler_that_leads_makes_them_by_itself(stage: Stage) -> None:
    leadership.release(stage.runtime.database, stage.fence)
    loop = SchedulerLoop(stage.runtime, "alone")
    thread = threading.Thread(target=loop.run)
    thread.start()
    try:
        eventually(lambda: show_certificate(stage.runtime).certified is not None, 20, "a certificate")
    finally:
        loop.stop()
        thread.join(10)
    assert not thread.is_alive()
