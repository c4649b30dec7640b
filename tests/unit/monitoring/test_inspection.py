"""Inspections: each section is judged by its figures, and says so where they do not suffice."""

from __future__ import annotations

from datetime import UTC, date, datetime
from unittest import mock

import pytest
from google.api_core.exceptions import Forbidden
from markupsafe import Markup

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
from drawsguard.warehouse.bill import Shares
from drawsguard.warehouse.failures import StatementError
from operators.operations.inspection_operator import InspectionOperator

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
    assert latency_section(figures, {}).verdict == "good"
    assert "n = 400" in latency_section(figures, {}).text
    assert latency_section(figures | {"p95": 301}, {}).verdict == "bad"
    assert latency_section(figures | {"draws": 0}, {}).verdict == "unknown"
    by_day = latency_section(figures | {"p99": 900}, {date(2025, 10, 3): 301, date(2025, 10, 4): None}).chart
    assert by_day is not None
    assert "2025-10-03: 301 s ×; 2025-10-04: –" in by_day
    assert "900 s ×" not in by_day, "only the 95th percentile has an objective"


def test_completeness_freshness_and_jobs():
    day = {"beijing_day": "2025-10-01", "expected": 400, "missing_periods": 0, "completeness_pct": 100.0}
    assert completeness_section([day]).verdict == "good"
    assert completeness_section([day | {"missing_periods": 3}]).verdict == "bad"
    table = {"table_name": "target.draws", "status": "late", "overdue_draws": 0}
    assert freshness_section([table]).verdict == "good"
    stale = freshness_section([table | {"status": "stale", "overdue_draws": 3}, table | {"table_name": "draws_14w"}])
    assert stale.verdict == "bad"
    assert stale.chart is not None
    assert "3 期 draws ×" in stale.chart
    assert freshness_section([table | {"status": "empty", "overdue_draws": None}]).verdict == "bad"


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
    assert false_alarm_section([check], {}).verdict == "good"
    assert false_alarm_section([check | {"doubtful": 2}], {}).verdict == "bad"
    assert false_alarm_section([], {}).verdict == "good"
    by_day = false_alarm_section([check], {date(2025, 10, 3): 0, date(2025, 10, 4): 3}).chart
    assert by_day is not None
    assert "2025-10-03: 0; 2025-10-04: 3" in by_day


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


def test_the_bill_is_judged_by_what_a_month_at_this_rate_costs() -> None:
    rows = [{"dag": "draw_sync", "jobs": 10, "bytes_billed": 30 * 2**30, "slot_ms": 1}]
    assert cost_section(rows, days=1, budget_gib=1000).verdict == "good"
    over = cost_section(rows, days=1, budget_gib=900)
    assert over.verdict == "bad"
    assert "930 GiB of 900 GiB" in over.text
    assert cost_section(rows, days=7, budget_gib=900).verdict == "good"
    assert cost_section(None, budget_gib=1).verdict == "unknown"


def test_the_weekly_audit_holds_each_dag_against_its_estimated_share() -> None:
    shares = Shares(gib_a_month={"draw_sync": 98, "draw_news": 244})
    rows = [
        {"dag": dag, "jobs": 10, "bytes_billed": gib * 2**30, "slot_ms": 1}
        for dag, gib in (("draw_news", 30), ("draw_sync", 20), ("draw_history", 90))
    ]
    found = cost_section(rows, shares=shares, budget_gib=1024)
    assert found.verdict == "good", "a load by hand has no share"
    assert [row[-2:] for row in found.rows] == [(132.9, 244), (88.6, 98), (398.6, "–")]
    rows[1]["bytes_billed"] = 23 * 2**30
    grown = cost_section(rows, shares=shares, budget_gib=1024)
    assert grown.verdict == "bad"
    assert "draw_sync exceeds its estimated share" in grown.text
    assert "102 / 98 GiB" in grown.text
    assert "draw_news exceeds" not in grown.text


def test_only_the_weekly_audit_is_long_enough_for_shares() -> None:
    day = cost_section([{"dag": "draw_sync", "jobs": 1, "bytes_billed": 99 * 2**30, "slot_ms": 1}], days=31)
    assert (day.verdict, day.rows[0][-1]) == ("good", 1)


@pytest.mark.parametrize(
    ("billed", "sent"), [(40 * 2**30, "alerts/append_signals"), (1, "alerts/end_signal"), (None, None)]
)
def test_a_month_on_its_way_over_the_budget_is_a_signal(billed: int | None, sent: str | None) -> None:
    rows = None if billed is None else [{"dag": "d", "jobs": 1, "bytes_billed": billed, "slot_ms": 1}]
    report = Report("daily", NOW, NOW, (cost_section(rows, days=1),), Markup(""))
    repository = mock.Mock()
    repository.few_rows.return_value = None  # nothing is known without a statement
    InspectionOperator._report_bill(repository, report, "run")
    calls = [*repository.append.call_args_list, *repository.query.call_args_list]
    assert [call.args[0] for call in calls] == ([sent] if sent else [])
