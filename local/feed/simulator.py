"""A PC28 feed that knows the truth: every draw is a function of (seed, configuration, time), nothing is stored.

It deliberately shares no code with the collector: tests compare two independent derivations.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_right
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from itertools import islice
from typing import Any
from zoneinfo import ZoneInfo

from drawsguard.zones import locked_zone

BEIJING = ZoneInfo("Asia/Shanghai")
VANCOUVER = locked_zone("America/Vancouver")

#: The first draw of the simulated feed: period and Vancouver day.
FIRST_PERIOD = 2_430_000
FIRST_DAY = date(2020, 1, 1)

Digits = tuple[int, int, int]
Row = Any


@dataclass(frozen=True)
class Era:
    """From ``start`` on a draw falls every ``interval_seconds``, without maintenance: a demo sees many fresh draws."""

    start: datetime
    interval_seconds: float


@dataclass(frozen=True)
class FaultRates:
    """The share of draws that each fault hits, and how long it lasts (seconds, shortest and longest).

    The seconds are those of the ordinary cadence; in an era they shrink with its interval.
    """

    late: float = 0.02
    late_seconds: tuple[int, int] = (60, 900)
    corrected: float = 0.01
    correction_seconds: tuple[int, int] = (120, 7200)
    duplicated: float = 0.01
    malformed: float = 0.005
    history_only: float = 0.003
    unpublished: float = 0.0


NO_FAULTS = FaultRates(late=0, corrected=0, duplicated=0, malformed=0, history_only=0)


@dataclass(frozen=True)
class FeedConfig:
    """What determines every draw and fault. Times are aware; ``outages`` are half-open windows without any answer."""

    seed: int = 28
    interval_seconds: float = 210
    maintenance_minutes: int = 60
    monday_maintenance_minutes: int = 90
    since: datetime | None = None
    eras: tuple[Era, ...] = ()
    rates: FaultRates = field(default_factory=FaultRates)
    outages: tuple[tuple[datetime, datetime], ...] = ()
    answer_fault_rate: float = 0.0


@dataclass(frozen=True, slots=True)
class SimulatedDraw:
    """One draw and its faults. ``first_keno`` is shown until ``corrected_at``, ``keno`` from then on."""

    period: int
    timestamp: datetime
    keno: tuple[int, ...]
    published_at: datetime
    corrected_at: datetime | None = None
    first_keno: tuple[int, ...] | None = None
    duplicated: bool = False
    malformed: int | None = None
    history_only: bool = False
    unpublished: bool = False

    def keno_at(self, at: datetime) -> tuple[int, ...]:
        return self.first_keno if self.first_keno and self.corrected_at and at < self.corrected_at else self.keno


@dataclass(frozen=True, slots=True)
class Truth:
    """The values of a draw that a perfect collector holds."""

    period: int
    timestamp: datetime
    numbers: Digits
    created_at: datetime
    updated_at: datetime | None


def digits(keno: tuple[int, ...]) -> Digits:
    """Each digit is the last one of a sum over every third ball, starting at the second, third and fourth."""
    return sum(keno[1:17:3]) % 10, sum(keno[2:18:3]) % 10, sum(keno[3:19:3]) % 10


class Calendar:
    """Which period is drawn when: segments between two maintenance pauses, then the eras."""

    def __init__(self, config: FeedConfig) -> None:
        self._config = config
        self._interval = timedelta(seconds=config.interval_seconds)
        self._starts: list[datetime] = []  # the start of each segment, and the period of its first draw
        self._firsts: list[int] = []
        self._next_day, self._next_first = FIRST_DAY, FIRST_PERIOD
        self._eras: list[tuple[datetime, int, timedelta]] = []
        for era in config.eras:
            first = self._first_period_from(era.start)
            self._eras.append((era.start, first, timedelta(seconds=era.interval_seconds)))

    def _pause(self, day: date) -> tuple[datetime, datetime]:
        start = datetime.combine(day, time(4), VANCOUVER).astimezone(UTC)
        monday = day.isoweekday() == 1
        minutes = self._config.monday_maintenance_minutes if monday else self._config.maintenance_minutes
        return start, start + timedelta(minutes=minutes)

    def _extend_to(self, *, moment: datetime | None = None, period: int | None = None) -> None:
        def covered() -> bool:
            # One segment more than needed: a moment in a pause is answered with the segment after it.
            reached = moment is None or (len(self._starts) > 1 and self._starts[-2] >= moment)
            return reached and (period is None or self._next_first > period)

        while not covered():
            start = self._pause(self._next_day)[1]
            self._next_day += timedelta(days=1)
            self._starts.append(start)
            self._firsts.append(self._next_first)
            self._next_first += -(-(self._pause(self._next_day)[0] - start) // self._interval)

    def _first_period_from(self, moment: datetime) -> int:
        """Return the first period drawn at or after ``moment``."""
        for start, first, interval in reversed(self._eras):
            if moment >= start:
                return first + -(-(moment - start) // interval)
        self._extend_to(moment=moment)
        segment = bisect_right(self._starts, moment) - 1
        if segment < 0:
            return FIRST_PERIOD
        period = self._firsts[segment] + -(-(moment - self._starts[segment]) // self._interval)
        return min(period, self._firsts[segment + 1])

    def periods(self, start: datetime, end: datetime) -> range:
        """Return the periods drawn in ``[start, end)``."""
        return range(self._first_period_from(start), max(self._first_period_from(start), self._first_period_from(end)))

    def locate(self, period: int) -> tuple[datetime, float]:
        """Return when ``period`` is drawn, and the pace then: 1 ordinarily, less in an era of shorter intervals."""
        for start, first, interval in reversed(self._eras):
            if period >= first:
                return start + (period - first) * interval, interval / self._interval
        self._extend_to(period=period)
        segment = bisect_right(self._firsts, period) - 1
        if segment < 0:
            raise ValueError(f"The simulated feed begins with period {FIRST_PERIOD} on {FIRST_DAY}, not {period}.")
        return self._starts[segment] + (period - self._firsts[segment]) * self._interval, 1.0


class Simulator:
    """The feed as it is (`truth`) and as it shows itself at a moment (`visible`, `history`, `answer_fault`)."""

    def __init__(self, config: FeedConfig | None = None) -> None:
        self.config = config or FeedConfig()
        self.calendar = Calendar(self.config)

    # --- the truth ------------------------------------------------------------------------------------
    def draw(self, period: int) -> SimulatedDraw:
        """Return the draw ``period`` and its faults."""
        rates = self.config.rates
        digest = hashlib.blake2b(f"{self.config.seed}:{period}".encode()).digest()
        chance = [int.from_bytes(digest[40 + 3 * i : 43 + 3 * i]) / 2**24 for i in range(8)]
        timestamp, pace = self.calendar.locate(period)
        delay = 2 + 4 * chance[0]
        if chance[1] < rates.late:
            shortest, longest = rates.late_seconds
            delay = pace * (shortest + (longest - shortest) * chance[0])
        # Whole milliseconds: what is stored and what is read back stay equal everywhere.
        published_at = timestamp + timedelta(milliseconds=round(1000 * delay))
        corrected_at = first_keno = None
        if chance[2] < rates.corrected:
            shortest, longest = rates.correction_seconds
            corrected_at = published_at + timedelta(seconds=round(pace * (shortest + (longest - shortest) * chance[7])))
            first_keno = _keno(hashlib.blake2b(digest).digest())
        return SimulatedDraw(
            period=period,
            timestamp=timestamp,
            keno=_keno(digest),
            published_at=published_at,
            corrected_at=corrected_at,
            first_keno=first_keno,
            duplicated=chance[3] < rates.duplicated,
            malformed=int(chance[7] * len(_MALFORMED)) if chance[4] < rates.malformed else None,
            history_only=chance[5] < rates.history_only,
            unpublished=chance[6] < rates.unpublished,
        )

    def periods(self, start: datetime, end: datetime) -> range:
        """Return the periods drawn in ``[start, end)`` since the feed began."""
        return self.calendar.periods(max(start, self.config.since or start), end)

    def draws(self, start: datetime, end: datetime) -> Iterator[SimulatedDraw]:
        """Yield every draw of ``[start, end)``, oldest first, published or not."""
        return map(self.draw, self.periods(start, end))

    def truth(self, start: datetime, end: datetime, as_of: datetime | None = None) -> Iterator[Truth]:
        """Yield the correct draws of ``[start, end)``, oldest first.

        Without ``as_of`` these are the final values, unpublished draws included. With it they are what the feed has
        published by then: a draw that is late is absent, a correction still to come is not made.
        """
        for draw in self.draws(start, end):
            if as_of is None:
                yield Truth(draw.period, draw.timestamp, digits(draw.keno), draw.published_at, draw.corrected_at)
            elif self._published(draw, as_of):
                corrected_at = draw.corrected_at if draw.corrected_at and draw.corrected_at <= as_of else None
                numbers = digits(draw.keno_at(as_of))
                yield Truth(draw.period, draw.timestamp, numbers, draw.published_at, corrected_at)

    # --- what the feed shows --------------------------------------------------------------------------
    def visible(self, at: datetime, limit: int = 100) -> list[Row]:
        """Return the rows that the feed shows as its newest draws at ``at``, newest first."""
        draws = map(self.draw, reversed(self.periods(at - timedelta(days=30), at)))
        shown = islice((draw for draw in draws if self._published(draw, at) and not draw.history_only), limit)
        return [row for draw in shown for row in _rows(draw, at)]

    def history(self, start: datetime, end: datetime, at: datetime) -> Iterator[Row]:
        """Yield the rows that the history shows at ``at`` for draws of ``[start, end)``, oldest first."""
        return self.history_of(self.periods(start, end), at)

    def history_of(self, periods: Iterable[int], at: datetime) -> Iterator[Row]:
        """Yield the rows that the history shows at ``at`` for ``periods``, in their order."""
        for draw in map(self.draw, periods):
            if self._published(draw, at):
                yield from _rows(draw, at)

    def answer_fault(self, at: datetime) -> str | None:
        """Return the kind of fault that hits every answer at ``at``: an outage, or a random one."""
        if any(start <= at < end for start, end in self.config.outages):
            return "outage"
        bucket = int(at.timestamp() // 10)
        digest = hashlib.blake2b(f"{self.config.seed}/answer/{bucket}".encode()).digest()
        if int.from_bytes(digest[:4]) / 2**32 < self.config.answer_fault_rate:
            return ("error", "garbage", "empty")[digest[4] % 3]
        return None

    @staticmethod
    def _published(draw: SimulatedDraw, at: datetime) -> bool:
        return draw.published_at <= at and not draw.unpublished


def _keno(digest: bytes) -> tuple[int, ...]:
    """Draw 20 of 80 without replacement: the first steps of a shuffle, steered by the digest's first 40 bytes."""
    balls = list(range(1, 81))
    for i in range(20):
        j = i + int.from_bytes(digest[2 * i : 2 * i + 2]) % (80 - i)
        balls[i], balls[j] = balls[j], balls[i]
    return tuple(sorted(balls[:20]))


# --- rows -------------------------------------------------------------------------------------------
def _rows(draw: SimulatedDraw, at: datetime) -> Iterator[Row]:
    row = _row(draw, at)
    if draw.malformed is not None:
        yield _MALFORMED[draw.malformed](row)  # a malformed row beside the good one
    yield row
    if draw.duplicated:
        yield dict(row)


def _row(draw: SimulatedDraw, at: datetime) -> dict[str, Any]:
    keno = draw.keno_at(at)
    numbers = digits(keno)
    total = sum(numbers)
    local = draw.timestamp.astimezone(BEIJING)
    corrected = draw.corrected_at is not None and draw.corrected_at <= at
    return {
        "nbr": draw.period,
        "date": f"{local:%Y-%m-%d}",
        "time": f"{local:%H:%M:%S}",
        "num" if draw.period % 8 == 0 else "number": "+".join(map(str, numbers)),
        "combination": ("大" if total >= 14 else "小") + ("单" if total % 2 else "双"),
        "sum": total,
        "keno": ",".join(map(str, keno)),
        "created_at": draw.published_at.isoformat(),
        "updated_at": draw.corrected_at.isoformat() if corrected and draw.corrected_at else None,
    }


def _without(row: dict[str, Any], *keys: str) -> dict[str, Any]:
    return {key: value for key, value in row.items() if key not in keys}


_MALFORMED = (
    lambda row: _without(row, "num") | {"number": "8+8"},
    lambda row: _without(row, "num") | {"number": "8+12+4"},
    lambda row: _without(row, "num", "number"),
    lambda row: row | {"nbr": None},
    lambda row: row | {"time": ""},
    lambda row: row | {"sum": row["sum"] + 1},
    lambda row: row | {"keno": row["keno"].rsplit(",", 1)[0]},
    lambda row: f"{row['nbr']};{row['date']}",
)
