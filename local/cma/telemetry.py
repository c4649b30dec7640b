"""Generate days of CMA telemetry: each day depends on the seed and its date alone, and knows its own truth.

A day is a set of columns of small integers (codes) with a vocabulary each, so that sixty million rows take seconds.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta

import numpy as np
from numpy.typing import NDArray

MINUTES = 1440
LARGEST_COUNT = 99

_UNKNOWN_METRICS = ("que_eid_3\n", "del_eid_7", "que_eid_", "que_user_12", "UPD_EID_5", "", "que_eid_1 OR 1=1")
_OTHER_METRICS = ("jvm_gc_ms", "http_5xx", "que_eid_1")
_BAD_TIMES = ("", "yesterday", "2024-07-30T10:00:00", "1722304800")
_BAD_COUNTS = ("7\n", "many", "", "1.5", "0x1F")
_NEGATIVE_COUNTS = ("-1", "-300")
_ABSURD_COUNTS = ("999999999999", "123456789012345678")
#: Faults of lines, which only the JSON feed has.
_FAULTS_OF_LINES = ("broken_json", "glued_json", "empty_json")

Codes = NDArray[np.int64]


@dataclass(frozen=True)
class Faults:
    """How many malformed or duplicate records there are, each as a share of the day's good records."""

    duplicate_upload: float = 0.002
    unknown_oper_type: float = 0.0005
    bad_time: float = 0.0002
    time_outside_day: float = 0.0005
    bad_count: float = 0.0005
    negative_count: float = 0.0002
    absurd_count: float = 0.0001
    broken_json: float = 0.0005
    glued_json: float = 0.0005
    empty_json: float = 0.0002


@dataclass(frozen=True)
class Telemetry:
    """What CMA would deliver.

    :param metrics: oper_types; the first is reported every minute, so that a day is whole.
    :param rows_a_day: raw rows of a whole day, of which ``other_share`` belong to other applications.
    :param instances: how many instances report.
    :param late_share: part of a day's good records that only a later delivery of the day holds.
    :param missing_days: days without any telemetry.
    :param missing_minutes: how many minutes at the end of a day are absent.
    """

    seed: int
    metrics: tuple[str, ...]
    rows_a_day: int
    instances: int = 8
    other_share: float = 0.3
    faults: Faults = field(default_factory=Faults)
    late_share: float = 0.0
    missing_days: frozenset[date] = frozenset()
    missing_minutes: Mapping[date, int] = field(default_factory=dict)

    def day(self, day: date, *, with_late: bool = True) -> Day:
        """Return one day's records.

        :param with_late: whether the later delivery has arrived; it replaces the first.
        """
        rng = np.random.default_rng([self.seed, day.toordinal()])
        records = self._good_records(rng, MINUTES - self.missing_minutes.get(day, 0))
        if day in self.missing_days:
            records = records[:, :0]
        late = (rng.random(records.shape[1]) < self.late_share) & (records[0] > 0)
        if not with_late:
            records = records[:, ~late]
        return Day(self, day, records, _fault_counts(self.faults, records.shape[1]), rng)

    def _good_records(self, rng: np.random.Generator, minutes: int) -> Codes:
        """Return distinct (metric, minute, instance) with a count each, as four rows of codes."""
        wanted = int(self.rows_a_day * (1 - self.other_share))
        space = len(self.metrics) * minutes * self.instances
        if wanted > space // 2:
            raise ValueError(
                f"{wanted} EVT rows a day do not fit {len(self.metrics)} metrics × {minutes} minutes × "
                f"{self.instances} instances; use more metrics or instances."
            )
        heartbeat = np.arange(minutes, dtype=np.int64) * self.instances  # metric 0, instance 0, every minute
        drawn = rng.integers(0, space, max(0, wanted - minutes))
        keys = np.unique(np.concatenate([heartbeat, drawn]))
        metric, rest = np.divmod(keys, minutes * self.instances)
        minute, instance = np.divmod(rest, self.instances)
        return np.stack([metric, minute, instance, rng.integers(0, LARGEST_COUNT + 1, len(keys))])


def _fault_counts(faults: Faults, good: int) -> Counter[str]:
    return Counter({name: int(np.ceil(share * good)) for name, share in vars(faults).items() if share and good})


@dataclass(frozen=True)
class Column:
    """A column of text: codes into a vocabulary; None is NULL."""

    codes: Codes
    vocabulary: Sequence[str | None]

    def texts(self) -> list[str | None]:
        return [self.vocabulary[code] for code in self.codes]


@dataclass(frozen=True)
class DayTruth:
    """The correct result of a day, by the rules and not by the SQL."""

    raw_rows: int
    evt_rows: int
    base_rows: int
    ts_rows: int
    minutes: int
    rejected: dict[str, int]
    counts: dict[str, int]
    last_seen: dict[str, str]

    @property
    def rejected_rows(self) -> int:
        return sum(self.rejected.values())


class Day:
    """One day's records and the truth about them."""

    def __init__(
        self,
        plan: Telemetry,
        day: date,
        records: Codes,
        faults: Counter[str],
        rng: np.random.Generator,
    ) -> None:
        self.plan = plan
        self.day = day
        self._records = records
        self._faults = faults
        self._rng = rng
        self._picked = {name: self._pick(name) for name in faults if name not in _FAULTS_OF_LINES}
        self._minutes = [
            (datetime.combine(day, time.min) + timedelta(minutes=minute, seconds=minute % 60)).isoformat(" ")
            for minute in range(MINUTES)
        ]

    def columns(self, *, others: bool = True) -> dict[str, Column]:
        """Return the day's raw records as text columns: app, metric, ts, instance, value.

        :param others: whether records of other applications are among them.
        """
        metric, minute, instance, count = self._records
        rows = _Rows(self)
        rows.add(metric, minute, instance, count)
        doubled = self._picked.get("duplicate_upload", metric[:0])
        # A repeated upload carries the same count or a smaller one (a partial first delivery).
        rows.add(
            metric[doubled],
            minute[doubled],
            instance[doubled],
            count[doubled] // self._rng.integers(1, 3, len(doubled)),
        )
        for name, column, words in (
            ("unknown_oper_type", "metric", _UNKNOWN_METRICS),
            ("bad_time", "ts", _BAD_TIMES),
            ("time_outside_day", "ts", self._other_days()),
            ("bad_count", "value", _BAD_COUNTS),
            ("negative_count", "value", _NEGATIVE_COUNTS),
            ("absurd_count", "value", _ABSURD_COUNTS),
        ):
            picked = self._picked.get(name, metric[:0])
            rows.add(metric[picked], minute[picked], instance[picked], count[picked], wrong={column: words})
        if others and len(metric):
            share = self.plan.other_share
            foreign = self._rng.integers(0, len(metric), int(len(metric) * share / (1 - share)))
            rows.add(
                metric[foreign],
                minute[foreign],
                instance[foreign],
                count[foreign],
                app=1,
                wrong={"metric": _OTHER_METRICS},
            )
        return rows.columns()

    def truth(self, *, others: bool = True, json: bool = False) -> DayTruth:
        """Return the correct result of the day.

        :param others: as given to `columns`.
        :param json: whether the day is delivered as JSON lines, of which some are no record.
        """
        metric, minute, _, count = self._records
        rejected = {name: number for name, number in self._faults.items() if json or name not in _FAULTS_OF_LINES}
        evt_rows = len(metric) + sum(rejected.values())
        share = self.plan.other_share
        raw_rows = evt_rows + (int(len(metric) * share / (1 - share)) if others else 0)
        totals = np.bincount(metric, weights=count, minlength=len(self.plan.metrics)).astype(np.int64)
        last = np.full(len(self.plan.metrics), -1)
        np.maximum.at(last, metric, minute)
        seen = [index for index, value in enumerate(last) if value >= 0]
        counts = Counter({self.plan.metrics[index]: int(totals[index]) for index in seen})
        last_seen = {self.plan.metrics[index]: self._minutes[last[index]][:16] + ":00" for index in seen}
        for name, number in self._uses_of_rejected().items():
            counts[name] += number
            last_seen[name] = f"{self.day} 23:59:00"
        return DayTruth(
            raw_rows=raw_rows,
            evt_rows=evt_rows,
            base_rows=len(metric),
            ts_rows=len(np.unique(metric * MINUTES + minute)),
            minutes=len(np.unique(minute)),
            rejected={name: number for name, number in rejected.items() if number},
            counts=dict(counts),
            last_seen=last_seen,
        )

    def broken_lines(self) -> list[str]:
        """Return the lines of the JSON feed that are not one JSON object with content."""
        metric = self.plan.metrics[0]
        record = f'{{"ts": "{self.day} 00:00:00", "metric": "{metric}", "instance": "nos-999", "value": 7}}'
        words = {
            "broken_json": ('{"ts": "2024-', "not json", "[1, 2", "", '{"metric": que_eid_1}', "[]", f"{record} x"),
            # Each of the records would be counted if it had a line of its own.
            "glued_json": (record + record, f"{record} {record}", f"{record},{record}", f"{record}{{}}", "{}{}"),
            "empty_json": ("{}", "{ }"),
        }
        return [words[name][index % len(words[name])] for name in words for index in range(self._faults[name])]

    def _uses_of_rejected(self) -> Counter[str]:
        """Return the rejected records that could be about a point or tag, by metric: each is one use."""
        found: Counter[str] = Counter()
        for fault, picked in self._picked.items():
            if fault == "unknown_oper_type":
                found.update(_UNKNOWN_METRICS[index % len(_UNKNOWN_METRICS)] for index in range(len(picked)))
            elif fault != "duplicate_upload":
                found.update(self.plan.metrics[index] for index in self._records[0][picked])
        return Counter(
            {re.sub("[^!-~]", "?", name): number for name, number in found.items() if any(map(str.isdigit, name))}
        )

    def _pick(self, fault: str) -> Codes:
        """Return distinct positions of good records that the fault copies."""
        count = min(self._faults[fault], self._records.shape[1])
        positions: Codes = self._rng.choice(self._records.shape[1], count, replace=False)
        return positions

    def _other_days(self) -> tuple[str, ...]:
        before, after = self.day - timedelta(days=1), self.day + timedelta(days=1)
        return (f"{before} 23:59:59", f"{after} 00:00:00", "1970-01-01 08:00:00")


class _Rows:
    """Collects records as codes; vocabularies start with the good words."""

    def __init__(self, day: Day) -> None:
        plan = day.plan
        self._parts: dict[str, list[Codes]] = {name: [] for name in ("app", "metric", "ts", "instance", "value")}
        self._words: dict[str, list[str | None]] = {
            "app": ["EVT", "PAY"],
            "metric": list(plan.metrics),
            "ts": list(day._minutes),
            "instance": [f"nos-{index:03d}" for index in range(plan.instances)],
            "value": [str(count) for count in range(LARGEST_COUNT + 1)],
        }

    def add(
        self,
        metric: Codes,
        minute: Codes,
        instance: Codes,
        count: Codes,
        *,
        app: int = 0,
        wrong: Mapping[str, Sequence[str]] | None = None,
    ) -> None:
        good = {"app": np.full(len(metric), app), "metric": metric, "ts": minute, "instance": instance, "value": count}
        for name, words in (wrong or {}).items():
            base = len(self._words[name])
            self._words[name] += words
            good[name] = base + np.arange(len(metric)) % len(words)
        for name, codes in good.items():
            self._parts[name].append(codes)

    def columns(self) -> dict[str, Column]:
        return {name: Column(np.concatenate(parts), self._words[name]) for name, parts in self._parts.items()}


def window_truth(truths: Iterable[DayTruth]) -> dict[str, tuple[str, int]]:
    """Return what the window must hold: oper_type → (last minute, count)."""
    result: dict[str, tuple[str, int]] = {}
    for truth in truths:
        for metric, count in truth.counts.items():
            last, total = result.get(metric, ("", 0))
            result[metric] = (max(last, truth.last_seen[metric]), total + count)
    return result


def metric_names(points: int, tags: int) -> tuple[str, ...]:
    """Return oper_types of queries and updates for ``points`` points and ``tags`` tags."""
    return tuple(
        f"{operation}_{kind}_{number}"
        for kind, size in (("eid", points), ("tag", tags))
        for number in range(1, size + 1)
        for operation in ("que", "upd")
    )
