"""The slow loop of the leading scheduler: beside its rounds, in a thread of its own, it keeps the certificate new."""

from __future__ import annotations

import threading
from collections.abc import Callable
from functools import partial

import structlog
from prometheus_client import Gauge

from scheduler.cycle.snapshot import Snapshot
from scheduler.model.errors import LeadershipLost, StoreUnavailable
from scheduler.service.certificate import Certified, document_of, make_certificate
from scheduler.service.runtime import Runtime
from scheduler.store import certificates, reported_gpus
from scheduler.store.fence import Fence
from scheduler.store.transaction import WriteTransaction

#: The next is begun only after so many times what the last one took, so that it stays a small part of a processor.
PAUSED_FOR_ITS_COST = 100

MAKING_SECONDS = Gauge("dure_certificate_making_seconds", "How long the last certificate took to work out.")


class CertificateKeeper:
    """Has at most one certificate made at a time. For one thread, whose rounds wait for nothing here.

    The thread that makes one is handed a snapshot, which nobody changes, and reads the record for itself.
    """

    def __init__(self, runtime: Runtime) -> None:
        self._runtime = runtime
        self._log = structlog.get_logger("dure.certificate")
        self._making: threading.Thread | None = None
        self._began_seconds = self._due_seconds = float("-inf")
        self._cost_seconds = 0.0  # written by the thread that makes one, read once it is over

    def refresh_when_due(self, snapshot: Callable[[], Snapshot], fence: Fence) -> None:
        """Have the next one begun, if it is time."""
        now_seconds = self._runtime.clock.monotonic_seconds()
        if self._making is not None:
            if self._making.is_alive():
                return
            self._making = None
            pause_seconds = max(self._runtime.settings.certificate_seconds, PAUSED_FOR_ITS_COST * self._cost_seconds)
            self._due_seconds = self._began_seconds + pause_seconds
        if now_seconds < self._due_seconds:
            return
        self._began_seconds = now_seconds
        self._making = threading.Thread(target=self._make, args=(snapshot(), fence), name="certificate", daemon=True)
        self._making.start()

    def wait(self, seconds: float | None = None) -> None:
        """Wait for the one that is being made."""
        if self._making is not None:
            self._making.join(seconds)

    def _make(self, snapshot: Snapshot, fence: Fence) -> None:
        clock = self._runtime.clock
        began_seconds = clock.monotonic_seconds()
        try:
            keep_certificate(self._runtime, snapshot, fence)
        except (LeadershipLost, StoreUnavailable) as away:
            self._log.warning("no certificate", detail=str(away))
        except Exception:
            self._log.exception("a certificate failed")
        self._cost_seconds = clock.monotonic_seconds() - began_seconds
        MAKING_SECONDS.set(self._cost_seconds)


def keep_certificate(runtime: Runtime, snapshot: Snapshot, fence: Fence) -> Certified:
    """Make a certificate now, and have it be the newest. Raises LeadershipLost, StoreUnavailable."""
    with runtime.database.read() as connection:
        not_noted = reported_gpus.not_noted(connection)
    for site_id in not_noted:
        runtime.database.run(partial(reported_gpus.note, site_id=site_id), fence)
    certified = make_certificate(runtime.database, snapshot, runtime.clock.now_ms())

    def put(transaction: WriteTransaction) -> None:
        certificates.put(transaction, certified.made_ms, document_of(certified))

    runtime.database.run(put, fence)
    return certified
