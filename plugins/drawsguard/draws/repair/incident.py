"""The report of a repaired incident: five chapters, filled from data."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from drawsguard.draws.repair.gaps import describe_gaps
from drawsguard.draws.repair.repairer import Repair
from drawsguard.draws.retention import LOG_RETENTION
from drawsguard.draws.sync.period_hours import period_hours
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from drawsguard.warehouse.runner import StatementRunner

#: How many failed attempts the timeline names.
MOST_FAILURES = 20


def is_incident(repair: Repair) -> bool:
    """Return whether a repair deserves a report: several new missing draws. A single late draw is normal."""
    return repair.news >= get_settings().incident_min_draws


def incident_report(
    statements: StatementRunner, repair: Repair, settled_before: datetime, incident_id: str, run_url: str
) -> tuple[str, dict[str, Any]]:
    """Return the report (Markdown) and the values it was made from, for the mail.

    :param settled_before: draws that were collected from then on were not looked for (aware).
    :param run_url: where the repairing run is shown.
    """
    left = {*repair.nobody_has, *repair.open}
    # Old holes that nobody can fill are asked for now and then; they are no part of what has happened now.
    fresh = {*repair.repaired, *(left - repair.known)}
    gaps = [gap for gap in repair.gaps if not fresh.isdisjoint(gap.periods)] or repair.gaps
    start, end = min(gap.start for gap in gaps), max(gap.end for gap in gaps)
    span = range(min(gap.first for gap in gaps), max(gap.last for gap in gaps) + 1)
    failures = statements.rows(
        "repair/failures_between.sql",
        from_time=start,
        to_time=max(repair.finished_at, end) + timedelta(minutes=1),
        most=MOST_FAILURES,
    )
    values = {
        "incident_id": incident_id,
        "run_url": run_url,
        "settings": get_settings(),
        "gaps": describe_gaps(gaps),
        "start": start,
        "end": end,
        "repair": repair,
        "failures": failures,
        "span": span,
        "verification": _verification(statements, repair, span, settled_before),
        "absent": sum(period in span for period in left | (repair.known - {*repair.repaired})),
        "left": len(left),
    }
    return render_template("repair/incident.md", **values), values


def _verification(statements: StatementRunner, repair: Repair, span: range, settled_before: datetime) -> dict[str, Any]:
    """Return how the target compares with the source in a span of periods; without any row there, all is missing."""
    hours = period_hours(statements, span)
    if hours is None:
        return {
            "source_draws": 0, "target_draws": 0, "duplicates": 0, "missing_periods": len(span), "newest_draw": None,
        }  # fmt: skip
    (found,) = statements.rows(
        "repair/verification.sql",
        period_from=span.start,
        period_until=span.stop,
        read_from=hours.start,
        read_until=hours.end,
        settled_before=settled_before,
        periods=sorted(period for gap in repair.gaps for period in gap.periods),
    )
    return found


def save_report(statements: StatementRunner, repair: Repair, incident_id: str, report: str) -> None:
    """Keep the report in the table incident_reports (repeatable)."""
    statements.run(
        "repair/save_report.sql",
        incident_id=incident_id,
        created_at=repair.finished_at,
        repaired=len(repair.repaired),
        nobody_has=len(repair.nobody_has),
        report=report,
        retained_from=repair.finished_at - LOG_RETENTION,
    )
