"""The JSON documents of job arrays, as published. Stable: fields are added, never changed or removed."""

from __future__ import annotations

from pydantic import BaseModel


class ArrayTaskOut(BaseModel):
    """Which task of an array a job is. ``running_max`` of the array's run at once; null: as many as may be."""

    id: int
    task: int
    tasks: int
    running_max: int | None


class SubmittedArrayOut(BaseModel):
    """An array's number, and those of its jobs."""

    id: int
    tasks: int
    first_job: int
    last_job: int


class ArrayDoneOut(BaseModel):
    """What was done with an array: how many jobs it has, and how many of them have changed."""

    array: int
    tasks: int
    changed: int
