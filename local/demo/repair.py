"""Gaps of 1, 16 and 154 draws are made in the history, and draw_repair repairs exactly those."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from drawsguard import sql
from drawsguard.warehouse.job_configuration import query_config
from local.airflow_api import AirflowApi, wait_for
from local.demo.context import SQL, DemoContext

#: Draws per gap, and where the draws are deleted: the target alone, or both tables.
HOLES = ((1, ("target",)), (16, ("target",)), (154, ("source", "target")))


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Make the gaps, list them in a dry run, repair them, and read back what the log and the table say."""
    since = datetime.fromisoformat(context.feed("/health")["since"])
    end = context.started - timedelta(hours=3)
    window = {"from": since.isoformat(), "to": end.isoformat()}
    periods = [draw["period"] for draw in context.feed("/truth", **window)["data"]]
    lost = _tear(context, periods, since, end)

    context.say(f"{sum(map(len, lost))} draws were deleted in {len(lost)} gaps; draw_repair reports, then repairs")
    api.trigger_and_wait("draw_repair", window, timeout=900)
    api.trigger_and_wait("draw_repair", {**window, "dry_run": False}, timeout=900)
    gone = [period for hole in lost for period in hole]
    wait_for("the gaps to be repaired", lambda: not _missing(context, gone, since, end), timeout=900, pause=5)
    present = set(gone) - _missing(context, gone, since, end)
    (log,) = context.query("repairs.sql", since=context.started, periods=gone)
    return {
        "holes_injected": len(lost),
        "holes_healed": sum(1 for hole in lost if present.issuperset(hole)),
        "draws_lost": len(gone),
        "draws_logged": log["draws"],
        "mttr_p95_s": log["mttr_p95_s"],
    }


def check(section: dict[str, Any]) -> list[str]:
    """Return what is wrong with the section's figures; empty when the promise was kept."""
    wrong = []
    if section["holes_healed"] != section["holes_injected"]:
        wrong.append(f"{section['holes_healed']} of {section['holes_injected']} gaps were repaired")
    if section["mttr_p95_s"] is None or section["mttr_p95_s"] > 300:
        wrong.append(f"mttr_p95_s is {section['mttr_p95_s']}, expected at most 300")
    return wrong


def _tear(context: DemoContext, periods: list[int], start: datetime, end: datetime) -> list[list[int]]:
    """Delete the draws of the gaps, spread over the history, and return their periods."""
    holes = []
    for number, (size, sides) in enumerate(HOLES, start=1):
        at = len(periods) * number // (len(HOLES) + 1)
        hole = periods[at : at + size]
        for side in sides:
            dataset = getattr(context.settings, f"{side}_dataset")
            statement = sql.render_from(SQL, "lose_draws.sql", dataset=dataset)
            values = {"periods": hole, "window_start": start, "window_end": end}
            configuration = query_config("lose_draws.sql", "demo", "repair", values)
            context.bigquery().query(statement, job_config=configuration).result()
        holes.append(hole)
    return holes


def _missing(context: DemoContext, periods: list[int], start: datetime, end: datetime) -> set[int]:
    rows = context.query("target_draws.sql", window_start=start, window_end=min(end, datetime.now(UTC)))
    return set(periods) - {row["period"] for row in rows}
