"""How fast a cleanup may go: a rate, lowered while the server answers slowly."""

from __future__ import annotations

import time
from collections.abc import Callable

#: The sweep is slowed down to at most this many times its configured pace.
MAX_SLOWDOWN = 64.0
#: How fast the pace recovers per observation once the server answers quickly again.
RECOVERY = 0.9


class Throttle:
    """Spaces the work of one sweep.

    :param keys_per_second: keys examined per second at most.
    :param deletes_per_second: keys or fields deleted per second at most.
    :param max_latency_ms: a slower answer doubles the pauses, a quicker one lets them shrink again (milliseconds).
    :param clock: monotonic seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        keys_per_second: float,
        deletes_per_second: float,
        max_latency_ms: float,
        *,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        self._seconds_per_key = 1 / keys_per_second
        self._seconds_per_delete = 1 / deletes_per_second
        self._max_latency = max_latency_ms / 1000
        self._clock = clock
        self._sleep = sleep
        self._free_at = clock()
        self.slowdown = 1.0

    def observe(self, latency: float) -> None:
        """Record how long the server took to answer (seconds)."""
        if latency > self._max_latency:
            self.slowdown = min(MAX_SLOWDOWN, self.slowdown * 2)
        else:
            self.slowdown = max(1.0, self.slowdown * RECOVERY)

    def spend(self, *, examined: int = 0, deleted: int = 0) -> None:
        """Account for work done, and wait until the next may begin; time lost elsewhere is not caught up."""
        cost = (examined * self._seconds_per_key + deleted * self._seconds_per_delete) * self.slowdown
        now = self._clock()
        # Work since the last call took time already: only the remaining time of the pace is waited for.
        self._free_at = max(self._free_at + cost, now)
        if self._free_at > now:
            self._sleep(self._free_at - now)
