"""How long an agent may wait for anything, so that one lost connection never costs a lease. Pure."""

from __future__ import annotations

from dataclasses import dataclass

from connectors.agent.settings import AgentSettings

#: Waiting for news, an answer's lateness beyond that, and the pause before the next try: each takes at most one such
#: part of the lease, so that a whole round of them takes half of it.
PART = 6
#: A site that was not answered for such a part of its lease asks by the side, whatever it is still waiting for.
SILENCE_PART = 4
#: Renewals are handed on when so much of the lease has gone by since the last one; starting runs stops for the next
#: request after as long.
RENEW_PART = 8


@dataclass(frozen=True, slots=True)
class Pace:
    """The waits of an agent with these settings under a lease of ``lease_seconds``."""

    settings: AgentSettings
    lease_seconds: float

    @property
    def wait_seconds(self) -> float:
        """How long a request may wait for news."""
        return min(self.settings.wait_seconds_max, self.lease_seconds / PART)

    @property
    def timeout_seconds(self) -> float:
        """How long an answer may take beyond the request's wait."""
        return min(self.settings.timeout_seconds, self.lease_seconds / PART)

    @property
    def silence_seconds(self) -> float:
        """After how long without any answer a request is sent that does not wait."""
        return self.lease_seconds / SILENCE_PART

    @property
    def work_seconds(self) -> float:
        """How long the agent may be busy before it has to renew again."""
        return self.lease_seconds / RENEW_PART

    def retry_seconds(self, failures: int) -> float:
        """The longest wait before the next try after so many failures in a row."""
        longest = min(self.settings.retry_seconds_max, self.settings.retry_seconds_min * 2.0 ** min(failures, 20))
        return min(longest, self.lease_seconds / PART) if self.lease_seconds > 0 else longest
