"""The report of a repaired incident: five chapters, filled from data."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from drawsguard.draws.repair.gaps import MARGIN, describe_gaps
from drawsguard.draws.repair.repairer import Repair
from drawsguard.draws.retention import LOG_RETENTION
from drawsguard.settings import get_settings
from drawsguard.templates import render_template
from drawsguard.warehouse.runner import StatementRunner

#: How many failed attempts the timeline names.
MOST_FAILURES = 20


def is_incident(repair: Repair) -> bool:
    """Return whether a repair deserves a report: several new missing draws. A single late draw is normal."""
    return repair.news >= get_settings().incident_min_draws


def incident_report(
    statements: StatementRunner, repair: Repair, incident_id: str, run_url: str
) -> tuple[str, dict[str, Any]]:
    """Return the report (Markdown) and the values it was made from, for the mail.

    :param run_url: where the repairing run is shown.
    """
    start, end = min(gap.start for gap in repair.gaps), max(gap.end for gap in repair.gaps)
    verification = statements.rows("repair/verification.sql", search_from=start - MARGIN, search_to=end + MARGIN)[0]
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
        "gaps": describe_gaps(repair.gaps),
        "start": start,
        "end": end,
        "repair": repair,
        "failures": failures,
        "verification": verification,
        "left": len(repair.nobody_has) + len(repair.open),
    }
    return render_template("repair/incident.md", **values), values


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
