"""Features follow the draws by incremental refreshes, and a full rebuild finds nothing to change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Any

from local.airflow_api import AirflowApi
from local.demo.context import DemoContext


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Refresh, then rebuild all of the history and count the rows that the rebuild had to change.

    The last hours are left out: draws are still being corrected there while this runs.
    """
    since = datetime.fromisoformat(context.feed("/health")["since"])
    context.say("refreshing the features, then rebuilding all of them to compare")
    api.trigger_and_wait("feature_refresh", timeout=900)
    before = _figures(context, since)
    history = {"from": since.isoformat(), "to": (context.started - timedelta(hours=3)).isoformat()}
    api.trigger_and_wait("feature_refresh", history, timeout=900)
    after = _figures(context, since)
    return {
        "rows": after["feature_rows"],
        "refreshes": after["refreshes"],
        "differs_from_full": after["rebuilt_rows"] - before["rebuilt_rows"],
    }


def check(section: dict[str, Any]) -> list[str]:
    """Return what is wrong with the section's figures; empty when the promise was kept."""
    wrong = [] if section["rows"] else ["there are no features"]
    if section["differs_from_full"]:
        wrong.append(f"{section['differs_from_full']} rows differ from a full recompute")
    return wrong


def _figures(context: DemoContext, since: datetime) -> dict[str, Any]:
    bounds = {"window_start": since, "window_end": context.started + timedelta(days=1)}
    (row,) = context.query("features.sql", since=context.started, **bounds)
    return row | {"rebuilt_rows": row["rebuilt_rows"] or 0}
