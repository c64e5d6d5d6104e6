"""No wait of an agent with its usual settings can cost a lease."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from connectors.agent.pace import Pace
from connectors.agent.settings import AgentSettings

SETTINGS = AgentSettings(server="https://dure.example", state_directory=Path("agent"), name="agent-1")

leases = st.floats(5.0, 3600.0)


@given(leases)
def test_three_requests_fit_between_the_first_silence_and_the_lease_s_end(lease_seconds: float) -> None:
    pace = Pace(SETTINGS, lease_seconds)
    # The last lease counts from the sending of a request that may have waited for its whole time.
    silent_seconds = pace.wait_seconds + pace.silence_seconds
    assert silent_seconds + 3 * pace.timeout_seconds <= lease_seconds


@given(leases, st.integers(1, 1000))
def test_a_round_of_waiting_failing_and_pausing_takes_half_a_lease_at_most(lease_seconds: float, failures: int) -> None:
    pace = Pace(SETTINGS, lease_seconds)
    assert pace.wait_seconds + pace.timeout_seconds + pace.retry_seconds(failures) <= lease_seconds / 2 + 1e-6
    assert pace.work_seconds < pace.silence_seconds < lease_seconds / 3


@given(leases)
def test_a_quiet_site_that_is_answered_in_time_is_never_silent(lease_seconds: float) -> None:
    pace = Pace(SETTINGS, lease_seconds)
    assert pace.wait_seconds < pace.silence_seconds


def test_before_the_lease_is_known_tries_are_spread_as_the_settings_say() -> None:
    assert Pace(SETTINGS, 0.0).retry_seconds(50) == SETTINGS.retry_seconds_max
