"""The usage evidence: telemetry is generated, aggregated and pushed by the DAGs; the guard refuses a second push."""

from __future__ import annotations

from contextlib import closing
from datetime import date
from typing import Any

import MySQLdb

from drawsguard.points.telemetry.day_plan import window_of
from drawsguard.points.telemetry.push_guard import batch_id_of
from local.airflow_api import AirflowApi, ApiError
from local.cma.deliver import register_history, write_daily, write_history
from local.cma.telemetry import Telemetry, metric_names, window_truth
from local.demo.context import DemoContext

#: A day in the past, so that nothing here collides with the batches of other parts of the demo.
RUN_DATE = date(2024, 7, 31)
TELEMETRY = Telemetry(seed=20240731, metrics=metric_names(points=300, tags=50), rows_a_day=6_000)


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Generate 180 days, build, push, push again, and read every figure back from Hive and MySQL."""
    window = window_of(RUN_DATE, context.settings.points_window_days)
    days = [date.fromisoformat(day) for day in window.days()]
    history = context.config.directory("cma") / "history"
    context.say(f"generating {len(days)} days of CMA telemetry")
    truths = write_history(TELEMETRY, days, history)
    with closing(_hive(context)) as connection:
        register_history(connection, history, days, replace=True)
    write_daily(TELEMETRY, window.last, context.config.directory("cma") / "feed")

    chosen = {"run_date": RUN_DATE.isoformat()}
    context.say("points_hive_aggregation builds the 180-day window")
    _first_run(api, "points_hive_aggregation", chosen)
    context.say("points_hive_daily builds the legacy flow's last day")
    _first_run(api, "points_hive_daily", chosen)
    before = _window_in_hive(context)
    context.say("points_push pushes both flows to MySQL and empties Hive")
    _first_run(api, "points_push", {**chosen, "flows": ["window", "daily"]})
    context.say("pushing the same window again; the guard has to refuse")
    _push_again(api, chosen)
    return _figures(context, before == window_truth(truths.values()))


def check(summary: dict[str, Any]) -> list[str]:
    """Return every result that is not as expected."""
    promises = {
        "the window in Hive is the generator's truth": summary["window_is_truth"],
        "every metric of the window is in MySQL once": summary["pushed"] == summary["metrics"] > 0,
        "the second push was refused as already pushed": summary["refused"] == ["already_pushed"],
        "counts and checksums agreed when Hive was emptied": summary["checksum_equal"],
        "Hive is empty after the push": summary["left_in_hive"] == 0,
        "the legacy day counted 1440 minutes": summary["check_count"] == 1440,
        "180 days were judged": summary["days"] == 180,
    }
    return [promise for promise, kept in promises.items() if not kept]


def _first_run(api: AirflowApi, dag_id: str, conf: dict[str, Any]) -> None:
    api.wait_run(dag_id, api.open_with(dag_id, conf), timeout=900)


def _push_again(api: AirflowApi, chosen: dict[str, str]) -> None:
    try:
        api.trigger_and_wait("points_push", chosen, timeout=900)
    except ApiError as error:
        if "guard_before" not in str(error):
            raise


def _figures(context: DemoContext, window_is_truth: bool) -> dict[str, Any]:
    batch = batch_id_of("window", window_of(RUN_DATE, context.settings.points_window_days))
    check = _mysql(
        context,
        "SELECT days_present, raw_rows, rejected_rows, expansion FROM rsp_datagovern.evidence_check "
        "WHERE flow = 'window' AND window_end = %s ORDER BY checked_at DESC LIMIT 1",
        [window_of(RUN_DATE, 1).last],
    )[0]
    ledger = _mysql(
        context,
        "SELECT state, row_count, eid_sum, checksum FROM rsp_datagovern.evidence_batch WHERE batch_id = %s",
        [batch],
    )[0]
    stored = _mysql(
        context,
        "SELECT COUNT(*), SUM(eid), SUM(CRC32(CONCAT_WS('|', oper_type, oper_ts, eid))) "
        "FROM rsp_datagovern.ads_evt_ops_status_ago WHERE batch_id = %s",
        [batch],
    )[0]
    stamp = _hive_rows(context, "SELECT row_count, eid_sum, checksum FROM cma.ads_evt_ops_build WHERE flow = 'window'")[
        0
    ]
    refused = _mysql(
        context,
        "SELECT code FROM rsp_datagovern.evidence_guard_log WHERE decision = 'refused' AND batch_id = %s ORDER BY id",
        [batch],
    )
    minutes = _mysql(
        context,
        "SELECT eid FROM rsp_datagovern.ads_evt_ops_status_ago WHERE batch_id = %s AND oper_type = 'checkCount'",
        [batch_id_of("daily", window_of(RUN_DATE, 1))],
    )
    left = _hive_rows(context, "SELECT COUNT(*) FROM cma.ads_evt_ops_status")[0][0]
    return {
        "raw_rows": int(check[1]),
        "rejected_rows": int(check[2]),
        "expansion": float(check[3]),
        "days": int(check[0]),
        "metrics": int(stamp[0]),
        "pushed": int(stored[0]),
        "refused": [code for (code,) in refused],
        "checksum_equal": ledger[0] == "completed" and _integers(ledger[1:]) == _integers(stored) == _integers(stamp),
        "left_in_hive": int(left),
        "check_count": int(minutes[0][0]) if minutes else 0,
        "window_is_truth": window_is_truth,
    }


def _window_in_hive(context: DemoContext) -> dict[str, tuple[str, int]]:
    rows = _hive_rows(context, "SELECT oper_type, oper_ts, eid FROM cma.ads_evt_ops_status WHERE flow = 'window'")
    return {oper_type: (oper_ts, eid) for oper_type, oper_ts, eid in rows}


def _integers(row: Any) -> tuple[int, ...]:
    return tuple(int(value) for value in row)


def _hive(context: DemoContext) -> Any:
    from pyhive import hive

    return hive.connect(context.config.host("hive"), context.config.port("HIVE_PORT"), auth="NONE", username="root")


def _hive_rows(context: DemoContext, query: str) -> list[tuple[Any, ...]]:
    with closing(_hive(context)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query)
        return list(cursor.fetchall())


def _mysql(context: DemoContext, query: str, values: list[Any] | None = None) -> list[tuple[Any, ...]]:
    config = context.config
    connection = MySQLdb.connect(
        host=config.host("mysql"),
        port=config.port("MYSQL_PORT"),
        user="governance",
        password=config.secret("mysql_governance"),
        charset="utf8mb4",
    )
    with closing(connection), closing(connection.cursor()) as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall())
