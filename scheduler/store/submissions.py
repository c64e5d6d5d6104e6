"""Submissions: thousands of jobs, with their events and the answers to their requests, in a few statements.

Meant for ``GroupCommit.submit_items(submitter.insert, [submission, …], weight=number_of_jobs)``.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scheduler.model.reason import Refusal
from scheduler.model.shape import Shape
from scheduler.store import idempotency
from scheduler.store.dialect import bulk_insert
from scheduler.store.idempotency import Answer, IdempotencyKey
from scheduler.store.shapes import ShapeIds
from scheduler.store.tables import jobs
from scheduler.store.transaction import EventRow, WriteTransaction

_COLUMNS = (
    "id", "group_id", "person_id", "name", "state", "shape_id", "gpus", "priority", "spec", "submitted_ms",
    "retries", "change", "epoch", "cancel_requested", "requeue_requested", "failures",
    "infrastructure_failures", "walltime_ms", "save_ms",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job before it has an id. ``spec`` is the job file as JSON text. ``save_ms``: what it needs to save its state."""

    group_id: int
    person_id: int
    name: str
    state: str
    shape: Shape
    priority: int
    spec: str
    retries: int
    submitted_ms: int
    walltime_ms: int | None = None
    save_ms: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One request: its jobs (all of them or none), and how to answer once their ids are known.

    ``answer`` is called in the writer's thread while everybody waits: it must be quick. It may be called
    again if the transaction is. Without a ``key`` the request is not remembered.
    """

    key: IdempotencyKey | None
    actor: str
    jobs: Sequence[NewJob]
    answer: Callable[[range], Answer]


class Submitter:
    """Inserts submissions; keeps the ids of shapes it has seen."""

    def __init__(self, shape_ids: ShapeIds | None = None) -> None:
        self._shape_ids = shape_ids or ShapeIds()

    def insert(self, transaction: WriteTransaction, submissions: Sequence[Submission]) -> list[Answer | Refusal]:
        """Insert the jobs of ``submissions`` and return one answer each, in order.

        A request whose key is known (also one earlier in this very list) is answered as before, or refused
        with ``IDEMPOTENCY_MISMATCH`` when it asked for something else.
        """
        shape_ids = self._ids_of_shapes(transaction, submissions)
        change = transaction.change
        keys = [each.key for each in submissions if each.key is not None]
        known = idempotency.find(transaction.connection, keys)
        fresh, count = _fresh(submissions, known)
        ids = transaction.next_ids("job", count)
        answers: dict[int, Answer] = {}
        rows: list[tuple[object, ...]] = []
        happened: list[EventRow] = []
        taken = 0
        for index in fresh:
            submission = submissions[index]
            own = ids[taken : taken + len(submission.jobs)]
            taken += len(own)
            for id_, shape_id, job in zip(own, shape_ids[index], submission.jobs, strict=True):
                shape = job.shape
                rows.append((
                    id_, job.group_id, job.person_id, job.name, job.state, shape_id,
                    shape.workers * shape.gpus_per_worker, job.priority, job.spec, job.submitted_ms,
                    job.retries, change, 0, False, False, 0, 0, job.walltime_ms, job.save_ms,
                ))  # fmt: skip
                data = '{"state":"' + job.state + '"}'
                happened.append(("job.submitted", id_, job.group_id, None, submission.actor, "", data))
            answer = answers[index] = submission.answer(own)
            if submission.key is not None:
                known[submission.key.caller, submission.key.key] = (submission.key.request_hash, answer)
        bulk_insert(transaction.connection, jobs, _COLUMNS, rows)
        transaction.add_events(happened)
        transaction.after_commit("scheduler")
        idempotency.record(
            transaction,
            [(key, answers[index]) for index in fresh if (key := submissions[index].key) is not None],
        )
        return [answers.get(index) or _known(each, known) for index, each in enumerate(submissions)]

    def _ids_of_shapes(self, transaction: WriteTransaction, submissions: Sequence[Submission]) -> list[list[int]]:
        ids = self._shape_ids.of(transaction, [job.shape for each in submissions for job in each.jobs])
        apart: list[list[int]] = []
        start = 0
        for each in submissions:
            apart.append(ids[start : start + len(each.jobs)])
            start += len(each.jobs)
        return apart


def _fresh(
    submissions: Sequence[Submission], known: dict[tuple[str, str], tuple[str, Answer]]
) -> tuple[list[int], int]:
    """Return the indices of requests to carry out, and how many jobs they hold."""
    seen = set(known)
    fresh: list[int] = []
    count = 0
    for index, submission in enumerate(submissions):
        if submission.key is not None:
            name = (submission.key.caller, submission.key.key)
            if name in seen:
                continue
            seen.add(name)
        fresh.append(index)
        count += len(submission.jobs)
    return fresh, count


def _known(submission: Submission, known: dict[tuple[str, str], tuple[str, Answer]]) -> Answer | Refusal:
    key = submission.key
    assert key is not None, "only a request with a key can have been answered before"
    answer = idempotency.judge(key, known[key.caller, key.key])
    assert answer is not None, "a stored answer is judged"
    return Answer(status=answer.status, body=answer.body, replayed=True) if isinstance(answer, Answer) else answer
