"""Inspections: each section is judged by its figures, and says so where they do not suffice."""

from __future__ import annotations

import re
from datetime import UTC, datetime

from google.api_core.exceptions import Forbidden

from drawsguard.charts import bars
from drawsguard.monitoring.inspection import (
    Inspector,
    Report,
    advice_section,
    change_section,
    completeness_section,
    cost_section,
    false_alarm_section,
    freshness_section,
    latency_section,
    scheduler_section,
    success_section,
)
from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import StatementError

NOW = datetime(2025, 10, 3, tzinfo=UTC)


def days(*pairs: tuple[int, int]) -> list[dict[str, object]]:
    return [{"beijing_day": f"2025-10-0{n}", "expected": e, "succeeded": s} for n, (e, s) in enumerate(pairs, 1)]


def test_one_failure_in_a_day_is_not_judged_and_in_a_week_it_is():
    day = success_section(days((288, 287)))
    assert day.verdict == "unknown"
    assert "99.653 %" in day.text
    assert "cannot be judged" in day.text
    week = success_section(days(*[(288, 287)] * 7))
    assert week.verdict == "bad"
    assert "cannot be judged" not in week.text
    assert success_section(days(*[(288, 288)] * 7)).verdict == "good"


def test_many_failures_are_bad_however_few_the_runs():
    assert success_section(days((288, 200))).verdict == "bad"
    assert success_section([]).verdict == "unknown"


def test_latency():
    figures = {"draws": 400, "p50": 100, "p95": 290, "p99": 600}
    assert latency_section(figures).verdict == "good"
    assert "n = 400" in latency_section(figures).text
    assert latency_section(figures | {"p95": 301}).verdict == "bad"
    assert latency_section(figures | {"draws": 0}).verdict == "unknown"


def test_completeness_freshness_and_jobs():
    day = {"beijing_day": "2025-10-01", "expected": 400, "missing_periods": 0, "completeness_pct": 100.0}
    assert completeness_section([day]).verdict == "good"
    assert completeness_section([day | {"missing_periods": 3}]).verdict == "bad"
    table = {"table_name": "target.draws", "status": "late"}
    assert freshness_section([table]).verdict == "good"
    assert freshness_section([table | {"status": "empty"}]).verdict == "bad"


def test_a_job_is_bad_when_its_last_success_is_too_old_and_named_when_its_newest_attempt_failed():
    job = {"job_name": "data-sync-job", "success_overdue": False, "outcome": "success"}
    assert scheduler_section([job]).verdict == "good"
    assert "All succeed" in scheduler_section([job]).text
    failed = scheduler_section([job | {"outcome": "unauthenticated"}])
    assert failed.verdict == "good"
    assert "not overdue yet: data-sync-job" in failed.text
    overdue = scheduler_section([job | {"outcome": "unauthenticated", "success_overdue": True}])
    assert overdue.verdict == "bad"
    assert "too long: data-sync-job" in overdue.text
    assert "not overdue yet" not in overdue.text


def test_false_alarms():
    check = {"check_name": "x", "made": 1440, "failed": 3, "alerts": 20, "doubtful": 1}
    assert false_alarm_section([check]).verdict == "good"
    assert false_alarm_section([check | {"doubtful": 2}]).verdict == "bad"
    assert false_alarm_section([]).verdict == "good"


def test_identity_changes_are_counted_by_whom_and_what():
    change = {"principal": "airflow-runner@p", "method": "google.iam.admin.v1.SetIAMPolicy", "code": 0}
    section = change_section([change, change, change | {"principal": "alice@p"}, change | {"code": 7}])
    assert section.rows == (("airflow-runner@p", "SetIAMPolicy", 2), ("alice@p", "SetIAMPolicy", 1))
    assert "3 changes, 1 refused" in section.text


def test_cost_is_not_invented():
    section = cost_section(None)
    assert section.verdict == "unknown"
    assert "nothing is estimated" in section.text
    assert section.rows == ()
    assert cost_section([{"dag": "draw_sync", "jobs": 3, "bytes_billed": 10 * 2**20, "slot_ms": 5}]).rows


class RefusingRepository:
    """The project's jobs may not be listed; nothing else is asked."""

    def query(self, path: str, **_values: object) -> list[dict[str, object]]:
        refused = Forbidden("Access Denied: Table wprojectl:region-us.INFORMATION_SCHEMA.JOBS")
        raise StatementError.of(refused, path, None, "1 attempt in 0.1 s")


def test_missing_right_to_jobs_is_named_as_such():
    section = Inspector(RefusingRepository(), get_settings())._cost(NOW, NOW)
    assert section.verdict == "unknown"
    assert "bigquery.jobs.listAll" in section.text
    assert "no such view" not in section.text


def test_advice_follows_from_the_other_sections():
    bad = success_section(days((288, 200)))
    assert bad.title in advice_section([bad]).text
    assert "Nothing to change" in advice_section([]).text


def test_subject_counts_what_is_bad():
    report = Report("daily", NOW, NOW, (success_section(days((288, 200))),), "")
    assert "1 项异常" in report.subject
    assert "all good" in Report("daily", NOW, NOW, (), "").subject


def test_chart_escapes_and_scales():
    chart = bars([("<b>", 50), ("x", 100)], unit=" %", ceiling=100)
    assert "<b>" not in chart
    widths = [int(width) for width in re.findall(r'<td width="(\d+)" height', chart)]
    assert widths[1] == 2 * widths[0]
    assert "No data" in bars([])
    assert "<svg" not in chart, "mail programs drop SVG"
    assert "bgcolor" not in bars([("none", 0.0), ("full", 0.0)], ceiling=1)
