"""What ``draws`` and ``draws_14w`` have to hold, in plain Python: the documented rules, computed the slow way.

Nothing of the pipeline is imported here, and nothing is carried along from one draw to the next: a fault in the code
cannot hide in its judge. The rules are those of draws.md (which version is the newest), of ``R__010_draw_version.sql``
(what decides between two that are equally new), of ``insert_draws.sql`` (which version the collector keeps) and of
docs/features.md (every column).
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

Digits = tuple[int, int, int]

#: Two floats this near to each other, relative to their size, are equal: an engine may add in another order.
TOLERANCE = 1e-9


@dataclass(frozen=True, slots=True)
class Version:
    """One version of a draw. All times are aware; ``updated_at`` is None for one that was never corrected."""

    period: int
    timestamp: datetime
    numbers: Digits
    created_at: datetime
    updated_at: datetime | None = None

    @property
    def written_at(self) -> datetime:
        return self.updated_at or self.created_at

    def age(self) -> tuple[Any, ...]:
        """Return what orders the versions of a period: the greater, the newer."""
        return self.written_at, self.created_at, self.updated_at is not None, self.timestamp, self.numbers


@dataclass(frozen=True)
class Mismatch:
    """One row that is not as it has to be: missing, doubled, foreign (nothing explains it), stale or wrong."""

    table: str
    period: int
    problem: str
    detail: str = ""

    def __str__(self) -> str:
        return f"{self.table} {self.period}: {self.problem}{f' ({self.detail})' if self.detail else ''}"


def newest(versions: Iterable[Version]) -> dict[int, Version]:
    """Return the newest version of each period."""
    found: dict[int, Version] = {}
    for version in versions:
        if version.period not in found or version.age() > found[version.period].age():
            found[version.period] = version
    return found


def collected(stored: Sequence[Version], seen: Version, polled_at: datetime) -> Version | None:
    """Return the version that the source gains when the feed shows ``seen``; None when it shows nothing new.

    Its time has to fit the draws around it: one that does not is quarantined, and the source gains nothing.

    :param stored: the versions of the same period that the source has.
    :param polled_at: dates a correction to which the feed gives no time of its own.
    """
    if not stored:
        return seen
    last = max(stored, key=Version.age)
    if (seen.timestamp, seen.numbers) == (last.timestamp, last.numbers):
        return None
    corrected_at = max(seen.updated_at or polled_at, last.created_at)
    gained = replace(seen, created_at=last.created_at, updated_at=corrected_at)
    return gained if gained.age() > last.age() else None


# --- features ---------------------------------------------------------------------------------------------------
def features(truth: Mapping[int, Version], horizon: int) -> dict[int, dict[str, Any]]:
    """Return every row of ``draws_14w`` by its issue, without ``computed_at``.

    :param truth: the newest version of each period.
    :param horizon: how many periods back a feature looks at most.
    """
    sums = {period: sum(version.numbers) for period, version in truth.items()}
    return {period: _row(version, sums, horizon) for period, version in truth.items()}


def _row(version: Version, sums: Mapping[int, int], horizon: int) -> dict[str, Any]:
    issue, (a, b, c) = version.period, version.numbers
    row: dict[str, Any] = {"issue": issue, "ts_utc": version.timestamp, "a": a, "b": b, "c": c, "sum": sums[issue]}
    for back in (1, 2, 3):
        row[f"lag_{back}_sum"] = sums.get(issue - back)
    for length in (3, 5, 10, 20):
        last = [sums[period] for period in range(issue - length + 1, issue + 1) if period in sums]
        whole = len(last) == length
        mean = sum(last) / length
        row[f"rolling_avg_{length}"] = mean if whole else None
        row[f"rolling_std_{length}"] = math.sqrt(sum((x - mean) ** 2 for x in last) / (length - 1)) if whole else None
        row[f"big_count_{length}"] = sum(1 for x in last if x >= 14) if whole else None
        row[f"odd_count_{length}"] = sum(1 for x in last if x % 2 == 1) if whole else None
    row["streak_big_small"] = _streak(issue, sums, horizon, lambda x: x >= 14)
    row["streak_odd_even"] = _streak(issue, sums, horizon, lambda x: x % 2 == 1)
    row["digit_span"] = max(a, b, c) - min(a, b, c)
    row["digit_repeats"] = {3: 0, 2: 1, 1: 2}[len({a, b, c})]
    row["same_sum_gap"] = _periods_since(sums[issue], issue, range(1, horizon + 1), sums)
    for value in range(28):
        row[f"since_sum_{value:02d}"] = _periods_since(value, issue, range(horizon + 1), sums)
    return row


def _streak(issue: int, sums: Mapping[int, int], horizon: int, kind: Callable[[int], bool]) -> int:
    length = 1
    while length < horizon and issue - length in sums and kind(sums[issue - length]) == kind(sums[issue]):
        length += 1
    return length


def _periods_since(value: int, issue: int, steps: range, sums: Mapping[int, int]) -> int | None:
    return next((back for back in steps if sums.get(issue - back) == value), None)


# --- comparison -------------------------------------------------------------------------------------------------
def wrong_draws(truth: Mapping[int, Version], rows: Sequence[Mapping[str, Any]]) -> list[Mismatch]:
    """Return what is wrong in the whole table ``draws``."""
    expected = {
        period: {
            "period": period,
            "timestamp": version.timestamp,
            "numbers": list(version.numbers),
            "sum_value": sum(version.numbers),
            "big_small": "big" if sum(version.numbers) >= 14 else "small",
            "odd_even": "odd" if sum(version.numbers) % 2 else "even",
            "created_at": version.created_at,
            "updated_at": version.updated_at,
        }
        for period, version in truth.items()
    }
    return _wrong("draws", "period", expected, rows, unjudged={"synced_at"}, problem="stale")


def wrong_features(
    expected: Mapping[int, Mapping[str, Any]], rows: Sequence[Mapping[str, Any]], *, unjudged: Iterable[str] = ()
) -> list[Mismatch]:
    """Return what is wrong in the whole table ``draws_14w``: rows, and columns that nobody here can explain.

    :param unjudged: columns besides ``computed_at`` that say something about the refresh, not about the draw.
    """
    return _wrong("draws_14w", "issue", expected, rows, unjudged={"computed_at", *unjudged}, problem="wrong")


def _wrong(
    table: str,
    key: str,
    expected: Mapping[int, Mapping[str, Any]],
    rows: Sequence[Mapping[str, Any]],
    *,
    unjudged: set[str],
    problem: str,
) -> list[Mismatch]:
    copies = Counter(row[key] for row in rows)
    found = [Mismatch(table, period, "missing") for period in sorted(expected.keys() - copies.keys())]
    found += [Mismatch(table, period, "doubled", f"{n} rows") for period, n in sorted(copies.items()) if n > 1]
    found += [Mismatch(table, period, "foreign") for period in sorted(copies.keys() - expected.keys())]
    for row in sorted(rows, key=lambda row: row[key]):
        if row[key] in expected:
            differing = _differing(expected[row[key]], {n: v for n, v in row.items() if n not in unjudged})
            if differing:
                found.append(Mismatch(table, row[key], problem, "; ".join(differing)))
    return found


def _differing(expected: Mapping[str, Any], actual: Mapping[str, Any]) -> list[str]:
    names = [*expected, *(name for name in actual if name not in expected)]
    absent = "no such column"
    pairs = [(name, expected.get(name, absent), actual.get(name, absent)) for name in names]
    return [f"{name} is {is_}, has to be {has_to_be}" for name, has_to_be, is_ in pairs if not _equal(has_to_be, is_)]


def _equal(one: Any, other: Any) -> bool:
    if isinstance(one, float) or isinstance(other, float):
        if one is None or other is None or isinstance(one, str) or isinstance(other, str):
            return False
        return math.isclose(one, other, rel_tol=TOLERANCE, abs_tol=TOLERANCE)
    return bool(one == other)
