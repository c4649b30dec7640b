"""The aggregation DAGs on the real engine, against telemetry whose truth is known without any SQL."""

from __future__ import annotations

import json
import os
import shutil
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import date
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook

from drawsguard.override import OverrideRefusedError
from drawsguard.points.database import close
from drawsguard.points.downline.report import downline_report
from drawsguard.points.environments import ENVIRONMENTS
from drawsguard.points.telemetry.day_plan import window_of
from drawsguard.points.telemetry.push_guard import batch_id_of
from drawsguard.settings import get_settings
from local.cma.deliver import FIRST_COMMIT, LATE_COMMIT, register_history, write_daily, write_history
from local.cma.telemetry import DayTruth, Telemetry, window_truth
from local.golden.dataset import EXPECTED, METRIC_ROWS, build
from local.golden.load import load_environment
from local.golden.telemetry import write_raw
from operators.points.telemetry.hive_day_plan_operator import HiveDayPlanOperator
from operators.points.telemetry.hive_expire_operator import HiveExpireOperator
from tests.evidence_window import (
    COUNTED_LINES,
    DAYS,
    LAST,
    LATE_DAY,
    LOST_DAY,
    NEXT_RUN_DATE,
    PLAN,
    REJECTED_LINES,
    RUN_DATE,
    WINDOW_DAYS,
    context,
    counted_lines,
    rejected_lines,
    write_feed_lines,
)
from tests.integration.points_evidence import create_stores, hive, hive_file, migrate_airflow, mysql, run_dag
from tests.integration.points_world import BATCH, new_world

pytestmark = [pytest.mark.integration, pytest.mark.timeout(1800)]

WINDOW_OF_PRODUCTION = 180
REBUILD = "the rules of the test changed"

#: What identifies each table's content; a table is the same when these rows are.
CONTENT = {
    "base_evt_ts": "SELECT pt_dt, oper_ts, oper_type, eid FROM cma.base_evt_ts",
    "base_evt_day": "SELECT pt_dt, oper_ts, oper_type, eid FROM cma.base_evt_day",
    "evt_day_quality": "SELECT * FROM cma.evt_day_quality WHERE flow = 'window'",
    "evt_rejected": "SELECT * FROM cma.evt_rejected WHERE flow = 'window'",
    "ads_evt_ops_status": "SELECT oper_ts, oper_type, eid FROM cma.ads_evt_ops_status WHERE flow = 'window'",
}


@pytest.fixture(scope="module")
def feed(stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Stores, and a folder that CMA delivers to; windows are five days long here."""
    stack.require("hive", "mysql")
    root = tmp_path_factory.mktemp("cma")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("DRAWSGUARD_POINTS_WINDOW_DAYS", str(WINDOW_DAYS))
        environment.setenv("DRAWSGUARD_POINTS_FEED_ROOT", str(root / "feed"))
        get_settings.cache_clear()
        migrate_airflow()
        create_stores()
        yield root
    get_settings.cache_clear()


def deliver(root: Path, days: list[date], plan: Telemetry = PLAN, **how: Any) -> dict[date, DayTruth]:
    truths = write_history(plan, days, root / "history", **how)
    with closing(HiveServer2Hook().get_conn()) as connection:
        register_history(connection, root / "history", days)
    return truths


@pytest.fixture(scope="module")
def first(feed: Path) -> dict[date, DayTruth]:
    """The first window, built by the DAG; the late day's records have not all arrived."""
    with closing(HiveServer2Hook().get_conn()) as connection:
        register_history(connection, feed / "history", [], replace=True)
    truths = deliver(feed, [d for d in DAYS if d != LATE_DAY]) | deliver(feed, [LATE_DAY], with_late=False)
    assert run_dag("points_hive_aggregation", run_date=str(RUN_DATE)) == "success"
    return truths


def content() -> dict[str, set[tuple[Any, ...]]]:
    result = {}
    for table, query in CONTENT.items():
        rows = hive(query)
        assert len(set(rows)) == len(rows), f"{table} holds rows twice"
        result[table] = set(rows)
    return result


def window_in_hive() -> dict[str, tuple[str, int]]:
    return {name: (last, eid) for last, name, eid in hive(CONTENT["ads_evt_ops_status"])}


def days_to_build(run_date: date) -> list[list[str]]:
    window = window_of(run_date, WINDOW_DAYS)
    return HiveDayPlanOperator(task_id="plan", window=window.texts()).execute(context(window))


def test_the_window_is_the_truth(first: dict[date, DayTruth]) -> None:
    assert window_in_hive() == window_truth(first.values())


def test_every_malformed_record_is_put_aside_with_its_reason(first: dict[date, DayTruth]) -> None:
    rows = hive("SELECT pt_dt, reason, SUM(copies) FROM cma.evt_rejected WHERE flow = 'window' GROUP BY pt_dt, reason")
    found: dict[str, dict[str, int]] = {}
    for pt_dt, reason, copies in rows:
        found.setdefault(pt_dt, {})[reason] = copies
    assert found == {str(d): truth.rejected for d, truth in first.items()}
    assert len(found[str(LAST)]) == 7, "the telemetry should meet every reason"


def test_the_quality_of_each_day_is_the_truth_and_is_kept_for_reports(first: dict[date, DayTruth]) -> None:
    rows = hive(
        "SELECT pt_dt, raw_rows, evt_rows, base_rows, rejected_rows, ts_rows, minutes FROM cma.evt_day_quality "
        "WHERE flow = 'window'"
    )
    assert {row[0]: row[1:] for row in rows} == {
        str(d): (t.raw_rows, t.evt_rows, t.base_rows, t.rejected_rows, t.ts_rows, t.minutes) for d, t in first.items()
    }
    kept = mysql("SELECT pt_dt, minutes FROM rsp_datagovern.evidence_day WHERE flow = 'window'")
    assert dict(kept) == {d: truth.minutes for d, truth in first.items()}


def test_nothing_is_new_after_a_build_and_a_rerun_changes_nothing(first: dict[date, DayTruth]) -> None:
    del first
    assert days_to_build(RUN_DATE) == []
    before = content()
    assert run_dag("points_hive_aggregation", run_date=str(RUN_DATE)) == "success"
    assert content() == before


@pytest.fixture(scope="module")
def second(first: dict[date, DayTruth], feed: Path) -> dict[date, DayTruth]:
    """A day later: one new day, and the late day's second delivery."""
    truths = deliver(feed, [RUN_DATE]) | deliver(feed, [LATE_DAY], commit=LATE_COMMIT)
    assert truths[LATE_DAY].base_rows > first[LATE_DAY].base_rows, "the late delivery should bring rows"
    return first | truths


def test_only_new_and_late_days_are_built_and_the_result_is_that_of_a_rebuild(second: dict[date, DayTruth]) -> None:
    assert days_to_build(NEXT_RUN_DATE) == [[str(LATE_DAY), str(RUN_DATE)]]
    assert run_dag("points_hive_aggregation", run_date=str(NEXT_RUN_DATE)) == "success"
    incremental = content()
    window = window_of(NEXT_RUN_DATE, WINDOW_DAYS)
    assert window_in_hive() == window_truth(t for d, t in second.items() if window.first <= d <= window.last)
    assert (
        run_dag(
            "points_hive_aggregation", run_date=str(NEXT_RUN_DATE), rebuild=True, reason="the rules of the test changed"
        )
        == "success"
    )
    assert content() == incremental
    recorded = "SELECT overrule_reason, started_by FROM rsp_datagovern.evidence_guard_log WHERE decision = 'rebuild'"
    assert (REBUILD, "dag_test") in mysql(recorded)
    for reason, user in (("", "alice"), ("ok", "alice"), ("nobody answers for this", "")):
        plan = HiveDayPlanOperator(task_id="plan", window=window.texts(), rebuild=True, rebuild_reason=reason)
        with pytest.raises(OverrideRefusedError):
            plan.execute(context(window, user=user))
    # And an earlier window can be built again at any time.
    assert run_dag("points_hive_aggregation", run_date=str(RUN_DATE)) == "success"
    assert window_in_hive() == window_truth(t for d, t in second.items() if d <= LAST)


def test_minutes_from_long_before_the_window_are_let_go_and_all_others_stay(second: dict[date, DayTruth]) -> None:
    del second
    before, to_build = content(), days_to_build(RUN_DATE)
    hive(
        "INSERT OVERWRITE TABLE cma.base_evt_ts PARTITION (pt_dt = '2020-01-01') VALUES ('2020-01-01 00:00:00', 'x', 1)"
    )
    window = window_of(RUN_DATE, WINDOW_DAYS)
    assert HiveExpireOperator(task_id="expire", window=window.texts()).execute(context(window)) == ["2020-01-01"]
    assert content() == before
    assert days_to_build(RUN_DATE) == to_build


def test_a_day_whose_build_was_emptied_half_way_is_built_again(second: dict[date, DayTruth]) -> None:
    del second
    hive("TRUNCATE TABLE cma.base_evt PARTITION (flow = 'window')")
    hive_file("telemetry/window/base_evt_ts.sql", {"days": [str(LAST)]})
    hive_file("telemetry/window/evt_day_quality.sql", {"days": [str(LAST)]})
    assert days_to_build(RUN_DATE) == [[str(LAST)]]
    assert run_dag("points_hive_aggregation", run_date=str(RUN_DATE)) == "success"
    assert days_to_build(RUN_DATE) == []


def test_a_missing_day_is_refused_named_recorded_and_nothing_is_summed(
    second: dict[date, DayTruth], feed: Path
) -> None:
    del second
    before = content()["ads_evt_ops_status"]
    shutil.rmtree(feed / "history" / f"pt_dt={LOST_DAY}")
    hive(f"ALTER TABLE datalake_platform.cma_hudi DROP PARTITION (pt_dt = '{LOST_DAY}')")
    short = replace(PLAN, missing_minutes={LAST: 60})
    deliver(feed, [LAST], short, commit=LATE_COMMIT)
    assert run_dag("points_hive_aggregation", run_date=str(RUN_DATE)) == "failed"
    after = content()
    assert after["ads_evt_ops_status"] == before
    assert not [row for row in after["base_evt_ts"] if row[0] == str(LOST_DAY)], "a lost day must leave nothing behind"
    accepted, findings = mysql(
        "SELECT accepted, findings FROM rsp_datagovern.evidence_check ORDER BY checked_at DESC LIMIT 1"
    )[0]
    assert not accepted
    assert json.loads(findings) == {
        "days_are_present": [str(LOST_DAY)],
        "minutes_are_complete": [f"{LAST} (1380 of 1440 min)"],
    }


def test_the_legacy_flow_is_the_truth_and_counts_the_minutes(feed: Path) -> None:
    truth = write_daily(PLAN, LAST, feed / "feed")
    for _ in range(2):  # a re-run changes nothing
        assert run_dag("points_hive_daily", run_date=str(RUN_DATE)) == "success"
        rows = hive("SELECT oper_type, oper_ts, eid FROM cma.ads_evt_ops_status WHERE flow = 'daily'")
        used = {name: (truth.last_seen[name], min(1, count)) for name, count in truth.counts.items()}
        expected = used | {"checkCount": (max(truth.last_seen.values()), 1440)}
        assert {name: (last, eid) for name, last, eid in rows} == expected
        assert len(rows) == len(expected)
    rejected = hive("SELECT reason, SUM(copies) FROM cma.evt_rejected WHERE flow = 'daily' GROUP BY reason")
    assert dict(rejected) == truth.rejected
    assert "broken_json" in truth.rejected


def test_a_line_of_the_feed_is_one_record_or_is_put_aside_whole(feed: Path) -> None:
    values = write_feed_lines(feed / "lines")
    hive_file("telemetry/daily/src_evt.sql", values)
    hive_file("telemetry/daily/base_evt.sql", values)
    assert set(hive(REJECTED_LINES)) == rejected_lines()
    assert hive(COUNTED_LINES) == [counted_lines()]


def build_in_python(raw: Path, root: Path, days: list[date]) -> None:
    """Write what the DAG makes of days of raw records as partitions below ``root``, and make them known to Hive."""
    parts: dict[str, tuple[str, ...]] = {
        "base_evt_day": ("oper_ts", "oper_type", "eid"),
        "evt_rejected": ("reason", "oper_ts", "oper_type", "instance", "raw_value", "copies"),
        "evt_day_quality": (
            "raw_rows", "last_commit", "evt_rows", "base_rows", "rejected_rows", "ts_rows", "metrics", "minutes",
            "base_eid", "ts_eid",
        ),
    }  # fmt: skip
    for day in days:
        records = pq.ParquetFile(raw / f"pt_dt={day}" / f"{FIRST_COMMIT}.parquet").read().to_pylist()
        evt = [record for record in records if record["app"] == "EVT"]
        counts: dict[tuple[str, str, str], int] = {}
        again: list[tuple[Any, ...]] = []
        for record in evt:
            key = (record["metric"], f"{record['ts'][:16]}:00", record["instance"])
            if key in counts:
                again.append(("duplicate_upload", key[1], key[0], key[2], record["value"], 1))
            counts[key] = max(int(record["value"]), counts.get(key, 0))
        last: dict[str, str] = {}
        total: Counter[str] = Counter()
        for (metric, minute, _), count in counts.items():
            last[metric] = max(minute, last.get(metric, ""))
            total[metric] += count
        by_minute = {key[:2] for key in counts}
        eid = total.total()
        quality = (
            len(records), FIRST_COMMIT, len(evt), len(counts), len(again), len(by_minute), len(total),
            len({minute for _, minute in by_minute}), eid, eid,
        )  # fmt: skip
        rows = {
            "base_evt_day": [(last[metric], metric, count) for metric, count in total.items()],
            "evt_rejected": again,
            "evt_day_quality": [quality],
        }
        for table, found in rows.items():
            folder = root / table / str(day)
            folder.mkdir(parents=True)
            if found:
                columns = map(pa.array, zip(*found, strict=True))
                pq.write_table(pa.table(dict(zip(parts[table], columns, strict=True))), folder / "0.parquet")
    for table in parts:
        flow = "" if table == "base_evt_day" else "flow = 'window', "
        for start in range(0, len(days), 60):
            partitions = " ".join(
                f"PARTITION ({flow}pt_dt = '{day}') LOCATION 'file:{root / table / str(day)}'"
                for day in days[start : start + 60]
            )
            hive(f"ALTER TABLE cma.{table} ADD IF NOT EXISTS {partitions}")
        hive(f"REFRESH TABLE cma.{table}")


def test_the_golden_case_follows_from_180_days_of_raw_usage(
    feed: Path, stack: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The window that production has, from raw telemetry through both DAGs and the report to the batch's numbers.

    On an ordinary day 5 of its days are new, and the others were built before; here by plain Python, from the same raw
    records. ``GOLDEN_BUILT=180`` has the DAG build them all, which takes Spark some minutes.
    """
    golden = build(LAST)
    window = window_of(RUN_DATE, WINDOW_OF_PRODUCTION)
    days = list(golden.window.days)
    assert (days[0], days[-1], len(days)) == (window.first, window.last, WINDOW_OF_PRODUCTION)
    monkeypatch.setenv("DRAWSGUARD_POINTS_WINDOW_DAYS", str(WINDOW_OF_PRODUCTION))
    get_settings.cache_clear()
    truth = write_raw(golden, feed / "golden")
    new = int(os.environ.get("GOLDEN_BUILT", str(WINDOW_DAYS)))
    with closing(HiveServer2Hook().get_conn()) as connection:
        register_history(connection, feed / "golden", days, replace=True)
    build_in_python(feed / "golden", feed / "built", days[:-new])
    planned = HiveDayPlanOperator(task_id="plan", window=window.texts()).execute(context(window))
    assert [day for part in planned for day in part] == list(map(str, days[-new:]))
    assert run_dag("points_hive_aggregation", run_date=str(RUN_DATE)) == "success"
    assert run_dag("points_push", run_date=str(RUN_DATE)) == "success"
    evidence = batch_id_of("window", window)
    pushed = mysql(
        "SELECT oper_type, oper_ts, eid FROM rsp_datagovern.ads_evt_ops_status_ago WHERE batch_id = %s", [evidence]
    )
    assert len(pushed) == METRIC_ROWS
    assert {name: (seen, count) for name, seen, count in pushed} == truth
    # The legacy flow, built above, has run to its end with it.
    legacy = batch_id_of("daily", window_of(RUN_DATE, 1))
    ended = "SELECT state, consolidated_at IS NOT NULL FROM rsp_datagovern.evidence_batch WHERE batch_id = %s"
    assert mysql(ended, [legacy]) == [("completed", 1)]
    assert mysql("SELECT COUNT(*) FROM rsp_datagovern.ads_evt_ops_status")[0][0] > 50

    world = new_world(stack.config)
    for name in ENVIRONMENTS:
        with world.environment(f"{name}_schema") as connection:
            load_environment(connection, getattr(golden, name))
    world.confirm(*golden.confirmed, evidence=evidence)
    for name in ENVIRONMENTS:
        planned = world.plan(name)
        assert planned.plan.counts() == EXPECTED[name]
        with world.environment(name) as connection:
            assert world.execute(planned, connection, chunk_rows=200) == len(planned.plan.rows)
    assert downline_report(world.repositories, world.environment, BATCH, []).counts == EXPECTED
    close(world.governance)
