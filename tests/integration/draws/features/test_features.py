"""draws_14w against an independent oracle: incremental refreshes, a full recompute and plain Python agree."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.draws.features.definitions import BASE_COLUMNS, FEATURES
from drawsguard.draws.features.refresh import (
    DuplicateFeaturesError,
    RefreshLog,
    refresh,
    run_refresh,
    windows_since_last_refresh,
)
from drawsguard.draws.retention import EARLIEST, LATEST
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.runner import StatementRunner
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate

pytestmark = pytest.mark.integration

START = datetime(2025, 10, 1, tzinfo=UTC)
DRAW = timedelta(seconds=210)
HORIZON = 30
EVERYTHING = Window(EARLIEST, LATEST)


Digits = tuple[int, int, int]


def oracle(history: dict[int, tuple[datetime, Digits]], horizon: int) -> dict[int, dict[str, Any]]:
    """Compute draws_14w draw by draw in plain Python: no windows, no state carried along, no code shared."""
    total = {issue: sum(digits) for issue, (_, digits) in history.items()}
    return {issue: _row(issue, history, total, horizon) for issue in history}


def _row(
    issue: int, history: dict[int, tuple[datetime, Digits]], total: dict[int, int], horizon: int
) -> dict[str, Any]:
    time, (a, b, c) = history[issue]
    row: dict[str, Any] = {"issue": issue, "ts_utc": time, "a": a, "b": b, "c": c, "sum": total[issue]}
    for k in (1, 2, 3):
        row[f"lag_{k}_sum"] = total.get(issue - k)
    for n in (3, 5, 10, 20):
        window = [total[i] for i in range(issue - n + 1, issue + 1) if i in total]
        whole = len(window) == n
        mean = sum(window) / n
        squares = n * sum(x * x for x in window) - sum(window) ** 2
        row[f"rolling_avg_{n}"] = mean if whole else None
        row[f"rolling_std_{n}"] = math.sqrt(squares / (n * (n - 1))) if whole else None
        row[f"big_count_{n}"] = len([x for x in window if x >= 14]) if whole else None
        row[f"odd_count_{n}"] = len([x for x in window if x % 2]) if whole else None
    row["streak_big_small"] = _streak(issue, total, horizon, lambda x: x >= 14)
    row["streak_odd_even"] = _streak(issue, total, horizon, lambda x: x % 2)
    row["digit_span"] = max(a, b, c) - min(a, b, c)
    row["digit_repeats"] = 3 - len({a, b, c})
    row["same_sum_gap"] = _last_seen(issue - 1, issue - horizon, total, total[issue], issue)
    for value in range(28):
        row[f"since_sum_{value:02d}"] = _last_seen(issue, issue - horizon, total, value, issue)
    return row


def _streak(issue: int, total: dict[int, int], horizon: int, kind: Any) -> int:
    length = 1
    while length < horizon and issue - length in total and kind(total[issue - length]) == kind(total[issue]):
        length += 1
    return length


def _last_seen(newest: int, oldest: int, total: dict[int, int], value: int, issue: int) -> int | None:
    for candidate in range(newest, oldest - 1, -1):
        if total.get(candidate) == value:
            return issue - candidate
    return None


@dataclass
class Target:
    """pc28.draws under test, and what the test knows is in it."""

    client: Client
    statements: StatementRunner
    truth: dict[int, tuple[datetime, tuple[int, int, int]]] = field(default_factory=dict)

    @property
    def table(self) -> str:
        return get_settings().table("target", "draws")

    @property
    def features(self) -> str:
        return get_settings().table("target", "draws_14w")

    def query(self, statement: str) -> list[dict[str, Any]]:
        return rows(self.client, statement)

    def put(self, draws: dict[int, tuple[int, int, int]], *, shift: timedelta = timedelta(), copies: int = 1) -> None:
        """Insert or correct draws; ``shift`` moves their time, ``copies`` above 1 doubles the rows."""
        if not draws:
            return
        values = []
        for period, digits in draws.items():
            at = START + (period - 1000) * DRAW + shift
            self.truth[period] = (at, digits)
            labels = "'big'" if sum(digits) >= 14 else "'small'", "'odd'" if sum(digits) % 2 else "'even'"
            numbers = ", ".join(map(str, digits))
            time = f"TIMESTAMP '{at.isoformat()}'"
            row = f"({period}, {time}, [{numbers}], {sum(digits)}, {', '.join(labels)}, {time}, NULL, {time})"
            values += [row] * copies
        periods = ", ".join(map(str, draws))
        self.query(f"DELETE FROM {self.table} WHERE timestamp >= TIMESTAMP '2000-01-01' AND period IN ({periods})")
        columns = "period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, synced_at"
        self.query(f"INSERT INTO {self.table} ({columns}) VALUES {', '.join(values)}")

    def rows(self) -> dict[int, dict[str, Any]]:
        names = ", ".join([name for name, _, _ in BASE_COLUMNS] + [feature.name for feature in FEATURES])
        found = self.query(f"SELECT {names} FROM {self.features} WHERE ts_utc >= TIMESTAMP '2000-01-01'")
        assert len(found) == len({row["issue"] for row in found}), "an issue is there twice"
        return {row["issue"]: row for row in found}

    def refresh(self, window: Window = EVERYTHING, **options: Any) -> Any:
        return refresh(self.statements, window, datetime.now(UTC), horizon=HORIZON, **options)

    def recomputed(self) -> dict[int, dict[str, Any]]:
        """Empty draws_14w, compute it whole, and return it."""
        self.query(f"DELETE FROM {self.features} WHERE ts_utc >= TIMESTAMP '2000-01-01'")
        self.refresh()
        return self.rows()


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack) as client:
        yield client


@pytest.fixture
def target(client: Client) -> Target:
    truncate(client, ("target", "draws"), ("target", "draws_14w"), ("monitor", "sync_log"))
    truncate(client, ("monitor", "feature_update_log"))
    return Target(client, StatementRunner(client, "test", "test"))


def digits(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(10), rng.randrange(10), rng.randrange(10)


@pytest.mark.parametrize("seed", range(4))
def test_incremental_equals_full_equals_oracle_on_random_histories(target: Target, seed: int) -> None:
    """Draws arrive late, corrected, doubled or never, in any order, with a refresh after each delivery."""
    rng = random.Random(seed)
    periods = [p for p in range(1000, 1140) if rng.random() > 0.08]
    position = 0
    late: list[int] = []
    while position < len(periods):
        size = rng.randint(10, 45)
        delivery = periods[position : position + size]
        position += size
        held = [p for p in delivery if rng.random() < 0.1]
        arriving = [p for p in delivery if p not in held] + [p for p in late if rng.random() < 0.5]
        late = [p for p in late + held if p not in arriving]
        known = list(target.truth)
        corrected = rng.sample(known, min(3, len(known)))
        target.put({p: digits(rng) for p in [*arriving, *corrected]})
        doubled = rng.sample(sorted(target.truth), 2)
        target.put({p: digits(rng) for p in doubled}, copies=2, shift=timedelta(seconds=rng.choice([0, 7])))
        target.refresh()
    incremental = target.rows()
    assert incremental == oracle(target.truth, HORIZON)
    assert target.recomputed() == incremental
    assert target.query(f"SELECT COUNT(*) AS n FROM {target.table}")[0]["n"] > len(target.truth), "no duplicate tested"


def test_a_repeated_refresh_writes_nothing(target: Target) -> None:
    target.put({p: (p % 10, 3, 4) for p in range(1000, 1050)})
    assert target.refresh().rows_written == 50
    before = target.query(f"SELECT issue, computed_at FROM {target.features} ORDER BY issue")
    assert target.refresh().rows_in == 0
    assert target.refresh(rebuild=True).rows_written == 0, "a rebuild of right rows touches none of them"
    assert target.query(f"SELECT issue, computed_at FROM {target.features} ORDER BY issue") == before


def test_a_late_draw_recomputes_only_what_reads_it(target: Target) -> None:
    history = {p: (p % 10, (p * 7) % 10, (p * 3) % 10) for p in range(1000, 1200)}
    late = history.pop(1100)
    target.put(history)
    target.refresh()
    assert target.rows()[1101]["lag_1_sum"] is None, "a lag over the hole is NULL, not a neighbour"
    assert target.rows()[1102]["rolling_avg_3"] is None
    target.put({1100: late})
    done = target.refresh()
    assert (done.first_issue, done.last_issue, done.rows_in) == (1100, 1100 + HORIZON, 1)
    assert done.rows_written <= HORIZON + 1
    assert target.rows() == oracle(target.truth, HORIZON)


def test_a_long_pause_of_the_feed_does_not_shorten_the_lead_in(target: Target) -> None:
    """The lead-in is counted in draws: 400 days without any between two neighbours change nothing."""
    target.put({p: (p % 10, 1, 2) for p in range(1000, 1040)}, shift=timedelta(days=-400))
    target.refresh()
    target.put({p: (p % 7, 5, 9) for p in range(1040, 1060)})
    target.refresh()
    assert target.rows() == oracle(target.truth, HORIZON)
    target.put({1039: (9, 9, 9)}, shift=timedelta(days=-400))
    target.refresh()
    assert target.rows() == oracle(target.truth, HORIZON)


def test_a_doubled_issue_is_reported(target: Target) -> None:
    target.put(dict.fromkeys(range(1000, 1010), (1, 2, 3)))
    target.refresh()
    target.query(f"INSERT INTO {target.features} SELECT * FROM {target.features} WHERE issue = 1005")
    with pytest.raises(DuplicateFeaturesError, match="11 rows for 10 issues"):
        target.refresh(rebuild=True)


def test_what_a_sync_wrote_long_ago_is_found_through_the_log(target: Target) -> None:
    """A repair of old draws lies outside the recent window; the sync's log leads the refresh to it."""
    target.put({p: (p % 10, 1, 2) for p in range(1000, 1020)})
    now = START + timedelta(days=90)
    log = RefreshLog(target.statements, "feature_refresh", "run", 1, now)
    run_refresh(log, windows_since_last_refresh(target.statements, now), lambda: now)
    assert target.rows() == {}, "nothing was synced according to the log, and nothing is recent"
    values = {
        "dag_id": "'draw_repair'", "task_id": "'repair'", "mode": "'range'", "run_id": "'r'", "try_number": "1",
        "interval_start": f"TIMESTAMP '{START.isoformat()}'", "interval_end": f"TIMESTAMP '{START.isoformat()}'",
        "window_start": f"TIMESTAMP '{START.isoformat()}'", "seconds": "1", "affected": "20", "status": "'success'",
        "window_end": f"TIMESTAMP '{(START + timedelta(days=1)).isoformat()}'",
        "started_at": f"TIMESTAMP '{now.isoformat()}'", "finished_at": f"TIMESTAMP '{now.isoformat()}'",
    }  # fmt: skip
    names, literals = ", ".join(values), ", ".join(values.values())
    target.query(f"INSERT INTO {get_settings().table('monitor', 'sync_log')} ({names}) VALUES ({literals})")
    later = now + timedelta(minutes=5)
    log = RefreshLog(target.statements, "feature_refresh", "run2", 1, later)
    (done, recent) = run_refresh(log, windows_since_last_refresh(target.statements, later), lambda: later)
    assert (done.rows_in, recent.rows_in) == (20, 0)
    logged = target.query(
        f"SELECT run_id, status, rows_in, rows_written FROM {get_settings().table('monitor', 'feature_update_log')} "
        "ORDER BY run_id, window_from"
    )
    assert [tuple(row.values()) for row in logged] == [
        ("run", "success", 0, 0), ("run2", "success", 20, 20), ("run2", "success", 0, 0),
    ]  # fmt: skip


def test_a_failed_refresh_is_logged_and_looks_again_next_time(target: Target, monkeypatch: pytest.MonkeyPatch) -> None:
    target.put({p: (p % 10, 1, 2) for p in range(1000, 1020)})
    log = RefreshLog(target.statements, "feature_refresh", "run", 1, START)

    def broken(*_args: Any, **_options: Any) -> None:
        raise RuntimeError("quota exceeded")

    with monkeypatch.context() as patch:
        patch.setattr("drawsguard.draws.features.refresh.refresh", broken)
        with pytest.raises(RuntimeError, match="quota exceeded"):
            run_refresh(log, [EVERYTHING], lambda: START)
    logged = target.query(f"SELECT status, error FROM {get_settings().table('monitor', 'feature_update_log')}")
    assert logged == [{"status": "failed", "error": "RuntimeError: quota exceeded"}]
    assert run_refresh(log, [EVERYTHING], lambda: START)[0].rows_written == 20


def test_the_table_has_every_feature_with_its_type(target: Target) -> None:
    table = target.client.get_table(get_settings().table("target", "draws_14w").strip("`"))
    actual = {
        column.name: column.field_type.replace("INTEGER", "INT64").replace("FLOAT", "FLOAT64")
        for column in table.schema
    }
    expected = {name: kind for name, kind, _ in BASE_COLUMNS} | {f.name: f.type for f in FEATURES}
    assert {name: kind.replace("FLOAT6464", "FLOAT64") for name, kind in actual.items()} == expected | {
        "computed_at": "TIMESTAMP"
    }


def test_daily_and_weekly_statistics_equal_plain_counting(target: Target) -> None:
    rng = random.Random(7)
    target.put({p: digits(rng) for p in range(1000, 1000 + 6 * 160, 6) if rng.random() > 0.05})
    by_day: dict[Any, list[int]] = {}
    for at, numbers in target.truth.values():
        by_day.setdefault((at + timedelta(hours=8)).date(), []).append(sum(numbers))
    by_week: dict[Any, list[int]] = {}
    for day, sums in by_day.items():
        by_week.setdefault(day - timedelta(days=day.weekday()), []).extend(sums)
    for view, key, groups in (
        ("draws_daily_stats_v", "beijing_day", by_day),
        ("draws_weekly_stats_v", "beijing_week", by_week),
    ):
        found = {row[key]: row for row in target.query(f"SELECT * FROM {get_settings().table('target', view)}")}
        assert found.keys() == groups.keys()
        for group, sums in groups.items():
            mean = sum(sums) / len(sums)
            deviation = (sum((x - mean) ** 2 for x in sums) / (len(sums) - 1)) ** 0.5
            assert found[group]["draws"] == len(sums)
            assert found[group]["mean_sum"] == pytest.approx(mean)
            assert found[group]["std_sum"] == pytest.approx(deviation)
            assert found[group]["big_draws"] == len([x for x in sums if x >= 14])
            assert found[group]["odd_draws"] == len([x for x in sums if x % 2])
        holes = max(target.truth) - min(target.truth) + 1 - len(target.truth)
        assert sum(row["missing_periods"] for row in found.values()) <= holes
