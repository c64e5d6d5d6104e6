"""How many workers a job has, as its file says it: a number, or for an elastic gang a range."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Discriminator, Field, Tag, model_validator
from pydantic_core import PydanticCustomError

WORKERS_MAX = 100_000


class WorkerRange(BaseModel):
    """An elastic gang: it starts with as many workers from ``min`` to ``max`` as there is room for when its turn has come, and
    where it writes checkpoints it grows and shrinks while it runs."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    min: int = Field(ge=1, le=WORKERS_MAX, description="Fewer than so many it never has.")
    max: int = Field(ge=1, le=WORKERS_MAX, description="More than so many it never has.")

    @model_validator(mode="after")
    def _in_order(self) -> WorkerRange:
        if self.max < self.min:
            raise PydanticCustomError(
                "workers_swapped",
                "max ({most}) is below min ({least}): swap them",
                {"most": self.max, "least": self.min},
            )
        return self


#: How errors about the two forms of ``workers`` would be told apart, which nobody needs to see.
WORKER_FORMS = ("workers.number", "workers.range")
#: A number, or a range; whatever is no mapping is read as a number.
Workers = Annotated[
    Annotated[int, Field(ge=1, le=WORKERS_MAX), Tag(WORKER_FORMS[0])] | Annotated[WorkerRange, Tag(WORKER_FORMS[1])],
    Discriminator(lambda value: WORKER_FORMS[isinstance(value, dict | WorkerRange)]),
]
