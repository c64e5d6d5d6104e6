"""Sites that refused a job: how often, and until when each is not asked for it again.

A site refuses when it will not start a run that was leased to it: its agent's own check says no, or its engine will not
have it. Asked again at once it says the same, so each refusal in a row makes the wait for that site twice as long, from a
minute to an hour: a mistake that is mended within the hour costs the job no person's word, and one that is never mended
costs one run an hour. There is no jitter, as for retries (``retry``): rounds place what is due together.

That is kept by job and by site. Other sites may have the job at once, and the site may have other jobs.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from scheduler.model.ids import SiteId

BACK_OFF_SECONDS_MIN = 60
BACK_OFF_SECONDS_MAX = 3600
#: So many characters of what a site says are kept.
MESSAGE_LENGTH_MAX = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class SiteRefusal:
    """One site's refusals of one job: ``times`` in a row, the last with the words ``message``. The site is not asked before
    ``until_ms``."""

    site: SiteId
    times: int
    until_ms: int
    message: str = ""


def back_off_seconds(times: int) -> int:
    """How long a site is not asked after so many refusals in a row: 60, 120, 240 … 3600 s."""
    return min(BACK_OFF_SECONDS_MAX, BACK_OFF_SECONDS_MIN << min(times - 1, 30))


def with_refusal(before: Sequence[SiteRefusal], site: SiteId, message: str, now_ms: int) -> tuple[SiteRefusal, ...]:
    """What is known after ``site`` has refused the job once more; by site."""
    times = 1 + max((each.times for each in before if each.site == site), default=0)
    until_ms = now_ms + back_off_seconds(times) * 1000
    added = SiteRefusal(site=site, times=times, until_ms=until_ms, message=message[:MESSAGE_LENGTH_MAX])
    return tuple(sorted([*(each for each in before if each.site != site), added], key=lambda each: each.site))


def in_force(refusals: Sequence[SiteRefusal], now_ms: int) -> tuple[SiteRefusal, ...]:
    """Those whose sites are not asked now.

    A time that lies further ahead than twice its wait says that the clock was set back by more than that wait: then nobody
    waits for it. So a clock that is corrected by a little loses no refusal, and one that jumps has nobody wait for more than
    twice as long as the site's refusals are worth.
    """
    if not refusals:
        return ()
    return tuple(each for each in refusals if 0 < each.until_ms - now_ms <= 2 * back_off_seconds(each.times) * 1000)
