"""What kind of end a run had: the category by which it is retried, and who pays for that.

| category | the end | who pays for another run |
|---|---|---|
| program | the command ended by itself with an exit code other than 0 | the job: one of its retries |
| memory | the command was killed by SIGKILL, and not by us: most often for want of memory | the job: one of its retries |
| walltime | its walltime was over | the job: one of its retries for just that |
| infrastructure | a start, a node, a site or a connection failed | nobody, up to so many in a row |
| | its site refused it | nobody, however often |
| policy | it had to make way for others | nobody, however often |
| owner | its owner cancelled it or sent it back | nobody |

The categories are those that the field has come to (Armada's ``onCategory``, the rules of Kubernetes'
``podFailurePolicy``, which tell exit codes from disruptions), and no finer ones than agents can tell.
"""

from __future__ import annotations

from enum import StrEnum

from scheduler.model.job_state import YIELDED_CAUSES, EndCause


class FailureCategory(StrEnum):
    """Why a run did not succeed, as far as its job's next run depends on it."""

    PROGRAM = "program"
    MEMORY = "memory"
    WALLTIME = "walltime"
    INFRASTRUCTURE = "infrastructure"
    POLICY = "policy"
    OWNER = "owner"


#: 128 + SIGKILL: what the supervisor reports of a command that the kernel, and nobody else, killed.
EXIT_CODE_KILLED = 137


def category_of(cause: EndCause, exit_code: int | None) -> FailureCategory | None:
    """The category of an end; None for a success."""
    if cause is EndCause.EXITED:
        if exit_code == 0:
            return None
        return FailureCategory.MEMORY if exit_code == EXIT_CODE_KILLED else FailureCategory.PROGRAM
    if cause is EndCause.WALLTIME:
        return FailureCategory.WALLTIME
    if cause in (EndCause.CANCELLED, EndCause.REQUEUED):
        return FailureCategory.OWNER
    return FailureCategory.POLICY if cause in YIELDED_CAUSES else FailureCategory.INFRASTRUCTURE
