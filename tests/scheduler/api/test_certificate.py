"""The certificate as everybody reads it."""

from __future__ import annotations

from eventually import eventually

from scheduler.cycle.certificate_record import ClassRecord, RecordCertificate
from scheduler.service.certificate import Certified, SitePrice, document_of
from scheduler.store import certificates
from scheduler.store.transaction import WriteTransaction
from tests.scheduler.api.conftest import Cast

TOTAL = {
    "jobs": 4,
    "mean_completion_seconds": 100.0,
    "mean_completion_lower_bound_seconds": 80.0,
    "within_percent": 25.0,
}


def test_everybody_reads_what_the_scheduler_made_and_what_is_not_known_says_why(cast: Cast) -> None:
    somebody, database = cast.people["viewer"], cast.federation.runtime.database
    eventually(lambda: somebody.get("certificate")["made_at"], 20, "the first, which the scheduler makes by itself")
    # Its next is an hour away.
    classes = (
        ClassRecord(gpu_class="h100", jobs=4, mean_completion_seconds=100.0, mean_completion_lower_bound_seconds=80.0),
    )
    certified = Certified(
        made_ms=1_800_000_000_000,
        since_ms=1_799_999_000_000,
        record=RecordCertificate(classes=classes, left_out=3),
        left_out=3,
        waiting=9,
        without_time=2,
        prices=(SitePrice(site="site-1", gpu_class="h100", hours_saved=4.5),),
    )

    def put(transaction: WriteTransaction) -> None:
        certificates.put(transaction, certified.made_ms, document_of(certified))

    database.run(put)
    told = somebody.get("certificate")
    assert told == cast.people["foreigner"].get("certificate")
    report, total = told.pop("report"), told.pop("total")
    assert report["text"].startswith(
        "The mean completion of the 4 job(s) that succeeded since 2027-01-15 16:43:20 KST was 1m40s"
    )
    assert "25.0 %" in report["text"] and "25.0 %" in report["text_ko"]
    assert {name: round(value, 6) for name, value in total.items()} == TOTAL
    assert told == {
        "made_at": "2027-01-15T08:00:00.000Z",
        "since": "2027-01-15T07:43:20.000Z",
        "classes": [TOTAL | {"gpu_class": "h100"}],
        "left_out": 3,
        "prices": [{"gpu_class": "h100", "site": "site-1", "hours_saved": 4.5}],
        "waiting": 9,
        "waiting_without_time": 2,
        "no_prices": None,
    }
