"""One draw, derived and checked: an invalid `Draw` cannot exist.

The rules here hold for every draw, wherever it comes from. What makes a row of the feed no draw (these rules and more:
a time in the future, a keno draw or a sum that disagrees, a conflict of two rows) is decided in one place,
`drawsguard.draws.collect.feed`, which gives each reason the code that the quarantine keeps.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Literal

from drawsguard.draws.keno import Digits

BigSmall = Literal["big", "small"]
OddEven = Literal["odd", "even"]

#: The smallest sum that counts as big.
BIG_FROM = 14

#: No feed numbers its draws beyond this, and what is computed with a period stays within BigQuery's INT64.
MAX_PERIOD = 10**15


def big_small_of(sum_value: int) -> BigSmall:
    return "big" if sum_value >= BIG_FROM else "small"


def odd_even_of(sum_value: int) -> OddEven:
    return "odd" if sum_value % 2 else "even"


@dataclass(frozen=True, slots=True)
class Draw:
    """One version of a draw, as the table `draws` of the source dataset keeps it.

    ``period`` numbers the draws without gaps. ``timestamp`` is when it was drawn, ``created_at`` when it was
    published, ``updated_at`` when it was corrected (None: never). All times are aware.

    :raises ValueError: when a value is out of range or the derived values disagree with ``numbers``.
    """

    period: int
    timestamp: datetime
    numbers: Digits
    sum_value: int
    big_small: BigSmall
    odd_even: OddEven
    created_at: datetime
    updated_at: datetime | None = None

    def __post_init__(self) -> None:
        if not 0 < self.period <= MAX_PERIOD:
            raise ValueError(f"Period {self.period} is not from 1 to {MAX_PERIOD}.")
        if len(self.numbers) != 3 or not all(0 <= digit <= 9 for digit in self.numbers):
            raise ValueError(f"Draw {self.period}: {self.numbers!r} are not three digits from 0 to 9.")
        if any(moment is not None and moment.tzinfo is None for moment in self._times()):
            raise ValueError(f"Draw {self.period}: every time needs a time zone.")
        derived = sum(self.numbers)
        stated = (self.sum_value, self.big_small, self.odd_even)
        expected = (derived, big_small_of(derived), odd_even_of(derived))
        if stated != expected:
            raise ValueError(f"Draw {self.period}: {stated} disagrees with {self.numbers}, which gives {expected}.")

    def _times(self) -> tuple[datetime | None, ...]:
        return self.timestamp, self.created_at, self.updated_at

    @classmethod
    def derive(
        cls,
        period: int,
        timestamp: datetime,
        numbers: Digits,
        created_at: datetime,
        updated_at: datetime | None = None,
    ) -> Draw:
        """Return the draw with sum, big/small and odd/even derived from ``numbers``.

        :raises ValueError: as the class does.
        """
        total = sum(numbers)
        derived = (total, big_small_of(total), odd_even_of(total))
        return cls(period, timestamp, numbers, *derived, created_at, updated_at)

    @property
    def version(self) -> datetime:
        """When this version came to be: the newest version of a period wins (see `drawsguard.draws.corrections`)."""
        return self.updated_at or self.created_at
