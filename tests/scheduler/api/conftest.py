"""One federation for all tests of the HTTP edge: people of every role, two branches of groups, a site."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest
from live_federation import LiveFederation, Person, live_federation


@dataclass(frozen=True, kw_only=True)
class Cast:
    """Who is there, and what they own."""

    federation: LiveFederation
    people: dict[str, Person]
    job: int
    foreign_job: int
    array: int
    foreign_array: int
    own: str = "research.university.vision"
    foreign: str = "research.institute.chemistry"


@pytest.fixture(scope="package")
def cast(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cast]:
    """The federation that tests share: each leaves roles and tokens as it found them."""
    with make_cast(tmp_path_factory.mktemp("api")) as made:
        yield made


@contextmanager
def make_cast(folder: Path) -> Iterator[Cast]:
    """A federation with everybody in it."""
    with live_federation(folder) as federation:
        own, foreign = Cast.own, Cast.foreign
        federation.group(own)
        federation.group(foreign)
        federation.site("site-1", "1x8:h100", instant=True)
        people = {
            "administrator": federation.administrator,
            "auditor": federation.person("auditor", {"federation": "auditor"}),
            "viewer": federation.person("viewer", {own: "viewer"}),
            "submitter": federation.person("submitter", {own: "submitter"}),
            "manager": federation.person("manager", {own: "manager"}),
            "foreigner": federation.person("foreigner", {foreign: "manager"}),
            "reader": federation.person("manager", scope="read"),
        }
        federation.administrator.post("sites/site-1/operators", {"person": "operator"})
        people["operator"] = federation.person("operator")
        jobs = []
        for group in (own, foreign):
            job = federation.job(federation.administrator, group, ["true"], gpus_per_worker=8)
            federation.wait(federation.administrator, job, "succeeded")
            jobs.append(job)
        arrays = [federation.job(federation.administrator, group, ["true"], array="0-1") for group in (own, foreign)]
        for array in arrays:
            federation.wait(federation.administrator, array + 2, "succeeded")
        yield Cast(
            federation=federation,
            people=people,
            job=jobs[0],
            foreign_job=jobs[1],
            array=arrays[0],
            foreign_array=arrays[1],
        )
