"""The telemetry that both Hive engines are given, and the run that builds it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from types import SimpleNamespace
from typing import Any

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.oper_type import hive_pattern
from local.cma.telemetry import Telemetry, metric_names

#: Windows are five days long here.
PLAN = Telemetry(seed=5, metrics=metric_names(points=30, tags=10), rows_a_day=5_000, late_share=0.1)
WINDOW_DAYS = 5
LAST = date(2024, 7, 29)
RUN_DATE, NEXT_RUN_DATE = LAST + timedelta(days=1), LAST + timedelta(days=2)
DAYS = [LAST - timedelta(days=offset) for offset in reversed(range(WINDOW_DAYS))]
LATE_DAY, LOST_DAY = DAYS[2], DAYS[3]


def context(
    window: StatisticsWindow, run_id: str = "test", user: str = "tester", cleared: int = 0, **params: Any
) -> Any:
    """Return the part of a task's context that the operators read."""
    due = datetime(window.run_date.year, window.run_date.month, window.run_date.day, 7, tzinfo=UTC)
    run = SimpleNamespace(
        run_id=run_id, start_date=due, data_interval_end=due, run_after=due, triggering_user_name=user,
        clear_number=cleared,
        run_type="scheduled",
    )  # fmt: skip
    return {"run_id": run_id, "dag_run": run, "params": params}


# --- lines of the legacy feed, and what becomes of each ---------------------------------------------------
RECORD = '{"ts": "2024-07-28 10:00:01", "metric": "que_eid_1", "instance": "%s", "value": 5}'
#: Line → why it is rejected; None when it is counted.
LINES: dict[str, str | None] = {
    RECORD % "a": None,
    RECORD % "}{, {}": None,
    RECORD.replace("}", ', "more": {"a": [{}, {"b": 1}]}}') % "b": None,
    (RECORD % "c") * 2: "glued_json",
    f"{RECORD % 'd'}, {RECORD % 'e'}": "glued_json",
    f"{RECORD % 'f'}{{}}": "glued_json",
    f"{RECORD % 'g'} and more": "broken_json",
    (RECORD % "h")[:-1]: "broken_json",
    "": "broken_json",
    "[]": "broken_json",
    "{}": "empty_json",
    "{ }": "empty_json",
    '{"metric": "que_eid_1"}': "bad_time",
}
WHOLE = {"glued_json", "broken_json", "empty_json"}
_WHERE = "WHERE flow = 'daily' AND pt_dt = '2024-07-28'"
REJECTED_LINES = f"SELECT reason, raw_value, copies FROM cma.evt_rejected {_WHERE}"
COUNTED_LINES = f"SELECT COUNT(*), SUM(eid) FROM cma.base_evt {_WHERE}"


def write_feed_lines(root: Path) -> dict[str, Any]:
    """Write the lines as a day of the feed; return the parameters of the daily flow's statements."""
    folder = root / "2024/7/28"
    folder.mkdir(parents=True)
    (folder / "part-00000.json").write_text("\n".join(LINES) + "\n")
    config = points_config()
    return {
        "pt_year": "2024",
        "pt_month": "07",
        "pt_day": "28",
        "pt_dt": "2024-07-28",
        "root": f"file:{root}",
        "location": f"file:{folder}",
        "pattern": hive_pattern(config.oper_type_pattern),
        "max_count": config.telemetry.largest_count,
    }


def rejected_lines() -> set[tuple[str, str | None, int]]:
    """Return what `REJECTED_LINES` has to find: a line that is no record is kept whole."""
    return {(reason, line if reason in WHOLE else None, 1) for line, reason in LINES.items() if reason}


def counted_lines() -> tuple[int, int]:
    """Return what `COUNTED_LINES` has to find."""
    counted = sum(1 for reason in LINES.values() if reason is None)
    return counted, 5 * counted
