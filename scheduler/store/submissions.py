"""Submissions: thousands of jobs, with their events and the answers to their requests, in a few statements.

Meant for ``GroupCommit.submit_items(submitter.insert, [submission, …], weight=number_of_jobs)``.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field

from scheduler.model.array_range import ArrayRange
from scheduler.model.dependency import Dependency
from scheduler.model.reason import Refusal
from scheduler.model.shape import Shape
from scheduler.store import dependencies, idempotency
from scheduler.store.dialect import bulk_insert
from scheduler.store.idempotency import Answer, IdempotencyKey
from scheduler.store.shapes import ShapeIds
from scheduler.store.tables import jobs
from scheduler.store.transaction import EventRow, WriteTransaction

_COLUMNS = (
    "id", "group_id", "person_id", "name", "state", "shape_id", "gpus", "priority", "spec", "submitted_ms",
    "retries", "change", "epoch", "cancel_requested", "requeue_requested", "failures",
    "infrastructure_failures", "walltime_ms", "save_ms", "predicted_ms", "predicted_from", "class_basis",
    "served_ms",
)  # fmt: skip
_LINKED_COLUMNS = (
    *_COLUMNS, "start_by_ms", "awaits", "array_id", "array_task", "array_tasks", "array_running_max",
)  # fmt: skip


@dataclass(frozen=True, slots=True, kw_only=True)
class NewJob:
    """A job before it has an id, or the jobs of an ``array``, which differ by their task alone. ``spec`` is the job file
    as JSON text; ``awaits`` is what is still to come of other jobs, ``save_ms`` what it needs to save its
    state, ``start_by_ms`` the last moment at which it may start for its deadline; ``predicted_ms`` is how long it is thought
    to run, by the like jobs of ``predicted_from``, and ``class_basis`` how they tell of its GPU class."""

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
    predicted_ms: int | None = None
    predicted_from: str | None = None
    class_basis: str | None = None
    awaits: tuple[Dependency, ...] = ()
    array: ArrayRange | None = None
    start_by_ms: int | None = None

    @property
    def ids(self) -> int:
        """How many numbers it takes: an array has one of its own before those of its jobs."""
        return 1 if self.array is None else 1 + len(self.array.tasks)


@dataclass(frozen=True, slots=True, kw_only=True)
class Submission:
    """One request: its jobs (all of them or none), and how to answer once their ids are known.

    ``answer`` is given one number for each of ``jobs``, of an array the array's. It is called in the writer's thread
    while everybody waits: it must be quick. It may be called again if the transaction is. Without a ``key`` the request
    is not remembered.
    """

    key: IdempotencyKey | None
    actor: str
    jobs: Sequence[NewJob]
    answer: Callable[[Sequence[int]], Answer]

    #: Whether some of it waits for others, is an array or has a deadline: most requests have none, and pay for none.
    has_links: bool = field(init=False)
    ids: int = field(init=False)  #: how many numbers it takes

    def __post_init__(self) -> None:
        """Look once, before the writer's turn."""
        has_links = any(job.array is not None or job.awaits or job.start_by_ms is not None for job in self.jobs)
        object.__setattr__(self, "has_links", has_links)
        object.__setattr__(self, "ids", sum(job.ids for job in self.jobs) if has_links else len(self.jobs))


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
        linked: list[tuple[object, ...]] = []
        waiting: list[tuple[int, Dependency]] = []
        happened: list[EventRow] = []
        taken = 0
        for index in fresh:
            submission = submissions[index]
            own: Sequence[int] = ids[taken : taken + submission.ids]
            taken += len(own)
            if submission.has_links:
                own = _link(own, shape_ids[index], submission, change, linked, waiting, happened)
            else:
                for id_, shape_id, job in zip(own, shape_ids[index], submission.jobs, strict=True):
                    rows.append(_row(id_, shape_id, job, change))
                    data = '{"state":"' + job.state + '"}'
                    happened.append(("job.submitted", id_, job.group_id, None, submission.actor, "", data))
            answer = answers[index] = submission.answer(own)
            if submission.key is not None:
                known[submission.key.caller, submission.key.key] = (submission.key.request_hash, answer)
        bulk_insert(transaction.connection, jobs, _COLUMNS, rows)
        if linked:
            bulk_insert(transaction.connection, jobs, _LINKED_COLUMNS, linked)
            dependencies.add(transaction, waiting)
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


def _row(id_: int, shape_id: int, job: NewJob, change: int) -> tuple[object, ...]:
    shape = job.shape
    return (
        id_, job.group_id, job.person_id, job.name, job.state, shape_id,
        shape.workers * shape.gpus_per_worker, job.priority, job.spec, job.submitted_ms,
        job.retries, change, 0, False, False, 0, 0, job.walltime_ms, job.save_ms,
        job.predicted_ms, job.predicted_from, job.class_basis, 0,
    )  # fmt: skip


def _link(
    ids: Sequence[int],
    shape_ids: Sequence[int],
    submission: Submission,
    change: int,
    rows: list[tuple[object, ...]],
    waiting: list[tuple[int, Dependency]],
    happened: list[EventRow],
) -> list[int]:
    """Add the rows and events of a submission with arrays, dependencies or deadlines; answer one number for each of its jobs."""
    own: list[int] = []
    taken = 0
    for shape_id, job in zip(shape_ids, submission.jobs, strict=True):
        first = ids[taken]
        taken += job.ids
        own.append(first)
        waiting += ((first, each) for each in job.awaits)
        data = '{"state":"' + job.state + '"}'
        for id_, row in _linked_rows(first, shape_id, job, change):
            rows.append(row)
            happened.append(("job.submitted", id_, job.group_id, None, submission.actor, "", data))
    return own


def _linked_rows(first: int, shape_id: int, job: NewJob, change: int) -> Iterator[tuple[int, tuple[object, ...]]]:
    """Numbers and rows of a job with links or a deadline, or of an array's jobs; ``first`` is the number that people know."""
    awaits, array = bool(job.awaits), job.array
    if array is None:
        yield first, (*_row(first, shape_id, job, change), job.start_by_ms, awaits, None, None, None, None)
        return
    for id_, task in enumerate(array.tasks, first + 1):
        of_array = first, task, len(array.tasks), array.running_max
        yield id_, (*_row(id_, shape_id, job, change), job.start_by_ms, awaits, *of_array)


def _fresh(
    submissions: Sequence[Submission], known: dict[tuple[str, str], tuple[str, Answer]]
) -> tuple[list[int], int]:
    """Return the indices of requests to carry out, and how many numbers their jobs take."""
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
        count += submission.ids
    return fresh, count


def _known(submission: Submission, known: dict[tuple[str, str], tuple[str, Answer]]) -> Answer | Refusal:
    key = submission.key
    assert key is not None, "only a request with a key can have been answered before"
    answer = idempotency.judge(key, known[key.caller, key.key])
    assert answer is not None, "a stored answer is judged"
    return Answer(status=answer.status, body=answer.body, replayed=True) if isinstance(answer, Answer) else answer
