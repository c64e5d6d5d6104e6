"""A request carries what is new, and nothing is taken for told before it was answered."""

from __future__ import annotations

from run_orders import node

from connectors.agent.report_book import Draft, ReportBook
from scheduler.model.job_state import EndCause, RunPhase
from scheduler.model.wire import RunReport, digest_of_runs

NODES = (node("n-0"), node("n-1"))
RUNNING = RunReport(run_id=1, epoch=1, phase=RunPhase.RUNNING, started_ms=1)
ENDED = RunReport(run_id=1, epoch=1, phase=RunPhase.ENDED, ended_ms=2, cause=EndCause.EXITED, exit_code=0)


def answered(book: ReportBook, draft: Draft) -> None:
    book.answered(draft, capacity_version=book.capacity_version, complete_wanted=False)


def told_book() -> ReportBook:
    book = ReportBook(1)
    answered(book, book.draft([RUNNING], NODES))
    return book


def test_the_first_request_is_complete_and_the_next_carries_nothing() -> None:
    book = ReportBook(1)
    first = book.draft([RUNNING], NODES)
    assert first.complete and first.runs == (RUNNING,)
    assert first.capacity is not None and first.capacity.complete
    answered(book, first)
    second = book.draft([RUNNING], NODES)
    assert not second.news and second.runs == () and second.capacity is None


def test_what_was_not_answered_is_sent_again() -> None:
    book = told_book()
    assert book.draft([ENDED], NODES).runs == (ENDED,)
    assert book.draft([ENDED], NODES).runs == (ENDED,)


def test_an_end_is_repeated_until_it_is_acknowledged() -> None:
    book = told_book()
    answered(book, book.draft([ENDED], NODES))
    repeated = book.draft([ENDED], NODES)
    assert repeated.runs == (ENDED,) and not repeated.news and book.unacknowledged
    book.release([1])
    assert book.draft([ENDED], NODES).runs == ()
    assert not book.unacknowledged


def test_a_changed_a_new_and_a_gone_node_make_a_delta() -> None:
    book = told_book()
    changed = (node("n-0", healthy=False), node("n-2"))
    capacity = book.draft([RUNNING], changed).capacity
    assert capacity is not None and not capacity.complete
    assert [report.name for report in capacity.nodes] == ["n-0", "n-2"]
    assert capacity.removed == ("n-1",)


def test_a_delta_that_was_not_answered_is_followed_by_a_complete_list() -> None:
    book = told_book()
    book.draft([RUNNING], (node("n-0"),))
    capacity = book.draft([RUNNING], (node("n-0"),)).capacity
    assert capacity is not None and capacity.complete


def test_an_engine_that_does_not_answer_takes_no_node_away() -> None:
    book = told_book()
    assert book.draft([RUNNING], None).capacity is None


def test_a_server_with_another_capacity_version_gets_everything() -> None:
    book = told_book()
    draft = book.draft([RUNNING], (node("n-0"),))
    book.answered(draft, capacity_version=0, complete_wanted=False)
    assert book.draft([RUNNING], (node("n-0"),)).complete


def test_the_digest_counts_told_live_runs() -> None:
    book = told_book()
    assert book.live_digest() == digest_of_runs([(1, 1)])
    answered(book, book.draft([ENDED], NODES))
    assert book.live_digest() == digest_of_runs([])
