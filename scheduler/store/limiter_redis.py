"""Rate limits shared between processes, by a token bucket in Redis.

While Redis is away each process limits by itself: a limit too generous for a while is better than no service.
"""

from __future__ import annotations

import logging

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from scheduler.clock import Clock
from scheduler.store.limiter_memory import MemoryLimiter

_TIMEOUT_SECONDS = 0.25
_PAUSE_SECONDS = 1.0
_log = logging.getLogger(__name__)

#: KEYS: the bucket. ARGV: rate a second, burst, now (ms). Answers the seconds to wait, as text. Numbers as in
#: ``limiter_memory``; a bucket that has had time to fill up is let go.
_SCRIPT = """
local rate, burst, now = tonumber(ARGV[1]), tonumber(ARGV[2]), tonumber(ARGV[3])
local bucket = redis.call('HMGET', KEYS[1], 'tokens', 'counted_ms')
local tokens, counted = tonumber(bucket[1] or burst), tonumber(bucket[2] or now)
now = math.max(now, counted)
tokens = math.min(burst, tokens + (now - counted) * rate / 1000)
local wait = 0
if tokens >= 1 then tokens = tokens - 1 else wait = (1 - tokens) / rate end
redis.call('HSET', KEYS[1], 'tokens', string.format('%.17g', tokens), 'counted_ms', string.format('%.0f', now))
redis.call('PEXPIRE', KEYS[1], math.ceil(burst / rate * 1000) + 1000)
return string.format('%.17g', wait)
"""


class RedisLimiter:
    """Keeps the buckets in Redis, under ``prefix``."""

    blocking = True

    def __init__(self, url: str, *, clock: Clock, prefix: str = "dure:limit:") -> None:
        self._clock = clock
        self._prefix = prefix
        self._local = MemoryLimiter()
        self._away_until_seconds = 0.0
        self._client = redis.Redis.from_url(
            url,
            socket_timeout=_TIMEOUT_SECONDS,
            socket_connect_timeout=_TIMEOUT_SECONDS,
            retry=Retry(NoBackoff(), 0),
        )
        self._take = self._client.register_script(_SCRIPT)

    def retry_after_seconds(self, key: str, *, rate_per_second: float, burst: int, now_ms: int) -> float:
        """Return 0.0 and count the act if ``key`` may act now, else the seconds until it may."""
        if self._clock.monotonic_seconds() >= self._away_until_seconds:
            try:
                return float(self._take(keys=[self._prefix + key], args=[rate_per_second, burst, now_ms]))
            except redis.RedisError as error:
                # Asked again only after a pause, so that its timeout is not paid by every request.
                self._away_until_seconds = self._clock.monotonic_seconds() + _PAUSE_SECONDS
                _log.warning("redis is away, each process limits by itself: %s", error)
        return self._local.retry_after_seconds(key, rate_per_second=rate_per_second, burst=burst, now_ms=now_ms)

    def close(self) -> None:
        """Close the connections."""
        self._client.close()
