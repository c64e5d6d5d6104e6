"""Rate limits of one process."""

from __future__ import annotations

import threading

_KEYS_MAX = 100_000


class MemoryLimiter:
    """Keeps the buckets in this process."""

    blocking = False

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, int]] = {}  # tokens, and the moment (ms) they were counted

    def retry_after_seconds(self, key: str, *, rate_per_second: float, burst: int, now_ms: int) -> float:
        """Return 0.0 and count the act if ``key`` may act now, else the seconds until it may."""
        with self._lock:
            tokens, counted_ms = self._buckets.pop(key, (float(burst), now_ms))
            now_ms = max(now_ms, counted_ms)
            tokens = min(float(burst), tokens + (now_ms - counted_ms) * rate_per_second / 1000)
            allowed = tokens >= 1
            # Written last, so that the dictionary's order is that of use, and the longest unused go first.
            self._buckets[key] = (tokens - 1 if allowed else tokens, now_ms)
            if len(self._buckets) > _KEYS_MAX:
                del self._buckets[next(iter(self._buckets))]
        return 0.0 if allowed else (1 - tokens) / rate_per_second

    def close(self) -> None:
        """Forget every bucket."""
        with self._lock:
            self._buckets.clear()
