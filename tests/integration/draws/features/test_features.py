"""draws_14w against an independent oracle: incremental refreshes, a full recompute and plain Python agree."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.draws.features import refresh as module
from drawsguard.draws.features.definitions import BASE_COLUMNS, FEATURES
from drawsguard.draws.features.definitions import HORIZON as REAL_HORIZON
from drawsguard.draws.features.refresh import (
    FeaturesNotRefreshedError,
    Refresh,
    RefreshLog,
    run_refresh,
)
from drawsguard.draws.retention import EARLIEST, LATEST
from drawsguard.draws.sync.review import review_window
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.runner import StatementRunner
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate

pytestmark = pytest.mark.integration

START = datetime(2025, 10, 1, tzinfo=UTC)
DRAW = timedelta(seconds=210)
HORIZON = 30
EVERYTHING = Window(EARLIEST, LATEST)
NOW = START + timedelta(days=90)


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

    def fill(self, first: int, last: int, *, without: tuple[int, ...] = ()) -> None:
        """Insert many draws at once; their digits follow from the period."""
        draws = {p: (p % 10, p // 3 % 10, p * 7 % 10) for p in range(first, last + 1) if p not in without}
        self.truth |= {p: (START + (p - 1000) * DRAW, digits) for p, digits in draws.items()}
        self.query(
            f"""INSERT INTO {self.table}
              (period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, synced_at)
            SELECT period, drawn_at, [a, b, c], a + b + c, IF(a + b + c >= 14, 'big', 'small'),
              IF(MOD(a + b + c, 2) = 1, 'odd', 'even'), drawn_at, NULL, drawn_at
            FROM (
              SELECT period, TIMESTAMP_ADD(TIMESTAMP '{START.isoformat()}', INTERVAL 210 * (period - 1000) SECOND)
                AS drawn_at, MOD(period, 10) AS a, MOD(DIV(period, 3), 10) AS b, MOD(period * 7, 10) AS c
              FROM UNNEST(GENERATE_ARRAY({first}, {last})) AS period
              WHERE period NOT IN ({", ".join(map(str, without)) or "0"})
            )"""
        )

    def remove(self, period: int) -> None:
        del self.truth[period]
        self.query(f"DELETE FROM {self.table} WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = {period}")

    def log(self) -> list[tuple[Any, ...]]:
        """Return status and first issue of each entry of feature_update_log."""
        table = get_settings().table("monitor", "feature_update_log")
        found = self.query(f"SELECT status, first_issue, error FROM {table} ORDER BY first_issue, status")
        return [(row["status"], row["first_issue"]) for row in found]

    def rows(self) -> dict[int, dict[str, Any]]:
        names = ", ".join([name for name, _, _ in BASE_COLUMNS] + [feature.name for feature in FEATURES])
        found = self.query(f"SELECT {names} FROM {self.features} WHERE ts_utc >= TIMESTAMP '2000-01-01'")
        assert len(found) == len({row["issue"] for row in found}), "an issue is there twice"
        return {row["issue"]: row for row in found}

    def refresh(self, asked: Window | None = None, *, horizon: int = HORIZON) -> list[Refresh]:
        """One ordinary refresh, long after the draws; with ``asked`` one of a range."""
        log = RefreshLog(self.statements, "feature_refresh", "run", 1, NOW)
        return run_refresh(log, lambda: datetime.now(UTC), asked=asked, horizon=horizon)

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


@pytest.fixture
def at_each_merge(monkeypatch: pytest.MonkeyPatch) -> Callable[..., list[int]]:
    """Return what has something done before or after each MERGE of features; it returns their first issues."""
    run = StatementRunner.run

    def watch(before: Callable[[int], None] | None = None, after: Callable[[int], None] | None = None) -> list[int]:
        merged: list[int] = []

        def watched(self: StatementRunner, path: str, *names: Any, **values: Any) -> Any:
            is_merge = path == "features/merge_features.sql"
            if is_merge and before:
                before(values["first_issue"])
            result = run(self, path, *names, **values)
            if is_merge:
                merged.append(values["first_issue"])
                if after:
                    after(values["first_issue"])
            return result

        monkeypatch.setattr(StatementRunner, "run", watched)
        return merged

    return watch


def digits(rng: random.Random) -> tuple[int, int, int]:
    return rng.randrange(10), rng.randrange(10), rng.randrange(10)


@pytest.mark.parametrize("seed", range(2))
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
    assert [done.rows_written for done in target.refresh()] == [50]
    before = target.query(f"SELECT issue, computed_at FROM {target.features} ORDER BY issue")
    assert target.refresh() == []
    assert [done.rows_written for done in target.refresh(EVERYTHING)] == [0], "a rebuild of right rows touches none"
    assert target.query(f"SELECT issue, computed_at FROM {target.features} ORDER BY issue") == before


def test_a_late_draw_recomputes_only_what_reads_it(target: Target) -> None:
    history = {p: (p % 10, (p * 7) % 10, (p * 3) % 10) for p in range(1000, 1200)}
    late = history.pop(1100)
    target.put(history)
    target.refresh()
    assert target.rows()[1101]["lag_1_sum"] is None, "a lag over the hole is NULL, not a neighbour"
    assert target.rows()[1102]["rolling_avg_3"] is None
    target.put({1100: late})
    (done,) = target.refresh()
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


def test_two_late_draws_are_written_with_all_that_reads_either(target: Target) -> None:
    """The later one lies in what the earlier one touches: writing its row there must not hide that it has changed.

    The real horizon, and the periods that were lost: 22 rows from 6011 on had no rolling_avg_10, for ever.
    """
    target.fill(1000, 6199, without=(1010, 6005))
    target.refresh(horizon=REAL_HORIZON)
    target.put({1010: (9, 9, 9), 6005: (0, 0, 1)})
    assert [done.rows_in for done in target.refresh(horizon=REAL_HORIZON)] == [2]
    touched = range(5990, 6060)
    whole = {issue: sum(numbers) for issue, (_, numbers) in target.truth.items()}
    found = target.rows()
    assert {i: found[i] for i in touched} == {i: _row(i, target.truth, whole, REAL_HORIZON) for i in touched}
    assert target.refresh(horizon=REAL_HORIZON) == []


def _corrected(target: Target) -> None:
    target.put({1003: (9, 9, 9)})


def _moved_out(target: Target) -> None:
    target.put({1003: target.truth[1003][1]}, shift=timedelta(hours=4))


def _moved_forward(target: Target) -> None:
    target.put({1001: target.truth[1001][1]}, shift=timedelta(days=4))


def _moved_back(target: Target) -> None:
    target.put({1030: (9, 9, 9)}, shift=timedelta(days=-3))
    target.refresh()
    target.put({1025: (0, 0, 0)})
    target.refresh()
    target.put({1025: (9, 0, 0)})


def _lost(target: Target) -> None:
    target.remove(1020)


def _doubled(target: Target) -> None:
    target.query(f"INSERT INTO {target.features} SELECT * FROM {target.features} WHERE issue BETWEEN 1010 AND 1040")


@pytest.mark.parametrize("happens", [_corrected, _moved_out, _moved_forward, _moved_back, _lost, _doubled])
def test_whatever_became_of_a_draw_is_seen_without_a_log(target: Target, happens: Callable[[Target], None]) -> None:
    """Nothing is in sync_log, all of it is long ago, and the last refresh was a success: the rows tell."""
    target.fill(1000, 1059)
    target.refresh()
    happens(target)
    assert target.refresh() != []
    assert target.rows() == oracle(target.truth, HORIZON)
    assert target.refresh() == [], "one refresh is enough"


def test_a_draw_that_is_held_twice_is_no_change(target: Target) -> None:
    """A correction moved it further than a sync looks: its old row differs from the features until a reconcile."""
    target.fill(1000, 1039)
    target.refresh()
    old = "period, TIMESTAMP_SUB(timestamp, INTERVAL 10 DAY), numbers, sum_value, big_small, odd_even"
    target.query(
        f"INSERT INTO {target.table} SELECT {old}, TIMESTAMP_SUB(created_at, INTERVAL 10 DAY), updated_at, synced_at "
        f"FROM {target.table} WHERE timestamp >= TIMESTAMP '2000-01-01' AND period = 1020"
    )
    assert target.refresh() == []
    assert target.rows() == oracle(target.truth, HORIZON)


class _Killed(BaseException):
    pass


def test_a_refresh_killed_between_two_writes_loses_nothing(
    target: Target, at_each_merge: Callable[..., list[int]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A span that is written in several statements: what the first ones write must not hide what the others have to."""
    monkeypatch.setattr(module, "BLOCK", 40)
    target.fill(1000, 1119)
    target.refresh()
    living: list[int] = []

    def die(_first: int) -> None:
        if not living:
            raise _Killed
        living.pop()

    merged = at_each_merge(after=die)
    for survived, digit in enumerate((1, 2)):
        target.put({p: (digit, p % 3, p % 7) for p in range(1010, 1060)})
        living[:] = [0] * survived
        with pytest.raises(_Killed):
            target.refresh()
        assert len(merged) == survived + 1
        assert ("failed", merged[-1]) in target.log()
        living[:] = [0] * 10
        target.refresh()
        assert target.rows() == oracle(target.truth, HORIZON)
        merged.clear()


def test_a_draw_that_arrives_during_a_refresh_is_not_forgotten(
    target: Target, at_each_merge: Callable[..., list[int]]
) -> None:
    """It lies behind the draw that is being written, and is read by draws that this statement does not reach."""
    target.fill(1000, 1089, without=(1025,))
    target.refresh()
    target.put({1005: (9, 9, 9)})
    merged = at_each_merge(before=lambda first: target.put({1025: (9, 9, 9)}) if first == 1005 else None)
    target.refresh()
    assert merged == [1005, 1025]
    assert target.rows() == oracle(target.truth, HORIZON)


def test_a_span_that_is_refused_stops_no_other(target: Target, at_each_merge: Callable[..., list[int]]) -> None:
    target.fill(1000, 1119, without=(1005, 1060))
    target.refresh()
    target.put({1005: (9, 9, 9), 1060: (9, 9, 9)})
    refused = [1005]

    def refuse(first: int) -> None:
        if first in refused:
            raise StatementError("quota exceeded")

    at_each_merge(before=refuse)
    with pytest.raises(
        FeaturesNotRefreshedError, match=r"1 of the issues 1005 to 1005 could not be .*: quota exceeded"
    ):
        target.refresh()
    assert 1060 in target.rows()
    assert {("failed", 1005), ("success", 1060)} <= set(target.log())
    refused.clear()
    target.refresh()
    assert target.rows() == oracle(target.truth, HORIZON)


def test_what_cannot_be_right_is_named_and_everything_else_is_written(target: Target) -> None:
    target.fill(1000, 1019)
    columns = "period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, synced_at"
    broken = f"1020, TIMESTAMP '{START.isoformat()}', [1, 2], 3, 'small', 'odd', TIMESTAMP '{START.isoformat()}'"
    target.query(f"INSERT INTO {target.table} ({columns}) VALUES ({broken}, NULL, TIMESTAMP '{START.isoformat()}')")
    with pytest.raises(FeaturesNotRefreshedError, match=r"issues 1020 to 1020: .*without three digits"):
        target.refresh()
    assert target.rows() == oracle(target.truth, HORIZON)


def test_what_is_exactly_at_the_horizon_is_seen_and_nothing_beyond(target: Target) -> None:
    """27 at 1000, 1020 and 1041, else small and odd sums of 5; a horizon of 20."""
    target.put({p: (9, 9, 9) if p in (1000, 1020, 1041) else (1, 2, 2) for p in range(1000, 1070)})
    target.refresh(horizon=20)
    found = target.rows()
    assert {p: found[p]["since_sum_27"] for p in (1019, 1020, 1040, 1041, 1061, 1062)} == {
        1019: 19, 1020: 0, 1040: 20, 1041: 0, 1061: 20, 1062: None,
    }  # fmt: skip
    assert {p: found[p]["same_sum_gap"] for p in (1000, 1020, 1041)} == {1000: None, 1020: 20, 1041: None}
    assert {p: found[p]["streak_big_small"] for p in (1019, 1040, 1060, 1061, 1062)} == {
        1019: 19, 1040: 20, 1060: 19, 1061: 20, 1062: 20,
    }  # fmt: skip
    # The last draws that read 1041 and 1020, each read by an incremental refresh from exactly the horizon away.
    target.put({1041: (1, 2, 2), 1000: (1, 2, 2)})
    target.refresh(horizon=20)
    incremental = target.rows()
    assert (incremental[1061]["since_sum_27"], incremental[1020]["same_sum_gap"]) == (None, None)
    assert incremental == oracle(target.truth, 20)
    target.query(f"DELETE FROM {target.features} WHERE ts_utc >= TIMESTAMP '2000-01-01'")
    target.refresh(horizon=20)
    assert target.rows() == incremental


def test_a_review_finds_what_is_wrong_although_its_draw_is_right(target: Target) -> None:
    target.fill(1000, 1039)
    target.refresh()
    target.query(f"UPDATE {target.features} SET rolling_avg_3 = 99 WHERE ts_utc >= '2000-01-01' AND issue = 1010")
    assert target.refresh() == [], "it was computed from the draw that is there"
    (done,) = target.refresh(review_window(target.statements, NOW))
    assert done.rows_written == 1
    assert target.rows() == oracle(target.truth, HORIZON)


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
