"""How far a sweep is, and how long it will still take."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass


def scanned_fraction(cursor: int) -> float:
    """Return how much of the key space a SCAN cursor has passed (0 to 1).

    Redis counts its cursor up from the highest bit of the hash table's index, so its 64 bits read backwards are the
    position, whatever the size of the table.

    :param cursor: the cursor to continue from; 0 is the beginning.
    """
    return int(f"{cursor:064b}"[::-1], 2) / 2**64


@dataclass(frozen=True)
class Progress:
    """The state of a sweep at one moment.

    :param fraction: of the passes planned so far (0 to 1).
    :param seconds_left: estimate from this run's own pace; None while it is unknown.
    :param found: keys and fields found by this run.
    :param deleted: keys and fields deleted by this run.
    """

    fraction: float
    seconds_left: float | None
    found: int
    deleted: int

    def __str__(self) -> str:
        left = "unknown" if self.seconds_left is None else f"{self.seconds_left:.0f} s"
        return f"{self.fraction:.1%} done, {left} left, {self.found} found, {self.deleted} deleted"


class Estimator:
    """Estimates the time left from the fractions of several scans, weighted by their sizes.

    :param clock: monotonic seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._started = clock()
        self._weights: dict[object, float] = {}
        self._fractions: dict[object, float] = {}
        self._fraction_at_start: float | None = None

    def expect(self, scan: object, weight: float) -> None:
        """Add ``scan`` to the work, with its size (keys)."""
        self._weights.setdefault(scan, max(weight, 1.0))

    def advance(self, scan: object, fraction: float) -> None:
        """Record how much of ``scan`` is done (0 to 1)."""
        self._fractions[scan] = fraction
        if self._fraction_at_start is None:
            self._fraction_at_start = self.fraction

    @property
    def fraction(self) -> float:
        """How much of the expected work is done (0 to 1)."""
        total = sum(self._weights.values())
        done = sum(self._weights.get(scan, 0.0) * fraction for scan, fraction in self._fractions.items())
        return done / total if total else 0.0

    @property
    def seconds_left(self) -> float | None:
        """Estimate of the time left, None before anything was achieved (seconds)."""
        achieved = self.fraction - (self._fraction_at_start or 0.0)
        if achieved <= 0:
            return None
        return (self._clock() - self._started) * (1 - self.fraction) / achieved
