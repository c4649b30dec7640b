"""The main job: three simulated days of draws reach ``pc28.draws`` by bulk, range, backfill and schedule."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from drawsguard.sql import SQL_ROOT
from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext

OUTAGE = timedelta(hours=9)
SLOT = timedelta(minutes=5)
#: The simulated feed publishes no draw, and no correction of one, later than this.
LATEST = timedelta(hours=2, minutes=20)


def load(api: AirflowApi, context: DemoContext) -> None:
    """Collect the history, sync it around a nine-hour outage, repair the outage, backfill an hour."""
    since = datetime.fromisoformat(context.feed("/health")["since"])
    now = datetime.now(UTC)
    slot_end = now - (now - datetime.fromtimestamp(0, UTC)) % SLOT
    backfill_from, backfill_to = slot_end - timedelta(hours=2), slot_end - timedelta(hours=1)
    outage_from = slot_end - timedelta(hours=20)
    outage_to = outage_from + OUTAGE

    context.say("collecting three days of history in bulk")
    _trigger(api, "draw_history", since, now)

    context.say(f"backfilling {backfill_from:%H:%M}–{backfill_to:%H:%M} UTC in 5-minute intervals")
    # The last interval of a backfill is the one that starts at its end.
    backfill = api.backfill("draw_sync", backfill_from, backfill_to - SLOT)

    context.say("syncing two ranges, as a person would from the UI; nine hours between them are left out")
    _sync(api, context, since, outage_from)
    _sync(api, context, outage_to, backfill_from)
    context.say(f"{_missing(context, since, backfill_from)} draws are missing after the outage; syncing its range")
    _sync(api, context, outage_from, outage_to)
    api.wait_backfill(backfill, timeout=900)


def _sync(api: AirflowApi, context: DemoContext, start: datetime, end: datetime) -> None:
    with context.sync_turn:
        _trigger(api, "draw_sync", start, end)


def _trigger(api: AirflowApi, dag_id: str, start: datetime, end: datetime) -> None:
    api.trigger_and_wait(dag_id, {"from": start.isoformat(), "to": end.isoformat()}, timeout=900)


def _missing(context: DemoContext, start: datetime, end: datetime) -> int:
    return len(_truth(context, start, end).keys() - _synced(context, start, end).keys())


def _truth(context: DemoContext, start: datetime, end: datetime) -> dict[int, dict[str, Any]]:
    """Return what the feed has published by now of the draws in a range, by period."""
    published = context.feed("/truth", **{"from": start.isoformat(), "to": end.isoformat()})["data"]
    return {draw["period"]: draw for draw in published}


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Wait until a scheduled run has synced fresh draws, then compare every store with the simulator's truth.

    Every figure is read back here, from the feed's truth, BigQuery and Airflow.
    """
    since = datetime.fromisoformat(context.feed("/health")["since"])
    context.say("waiting for a scheduled run to sync fresh draws (at most five minutes)")
    wait_for("a scheduled run that synced fresh draws", lambda: _fresh(context), timeout=900, pause=2)
    end = _watermark(context)
    # Draws continue to be published late and corrected: those from before the last sync have to be there.
    truth = _truth(context, since, end)
    # Late draws, and those that only the feed's history shows, come with later runs: the demo does not wait for these.
    earliest = context.started - LATEST
    _trigger(api, "draw_history", earliest, datetime.now(UTC))
    _sync(api, context, earliest, end)

    source = context.query("source_counts.sql", window_start=since, window_end=end)[0]
    target = _synced(context, since, end)
    corrected = _truth(context, since, end)
    latency = context.query("latency.sql", live_from=context.started, window_end=end)[0]
    return {
        "produced": len(truth),
        "collected": source["periods"],
        "quarantined": source["quarantined"],
        "synced": len(truth.keys() & target.keys()),
        "missing": len(truth.keys() - target.keys()),
        "duplicated": sum(row["copies"] - 1 for row in target.values()),
        "wrong_values": sum(
            _differs(row, truth.get(period)) and _differs(row, corrected.get(period)) for period, row in target.items()
        ),
        "runs": _runs_by_type(api),
        "fresh": latency["fresh"],
        "latency_p50_s": latency["p50"],
        "latency_p95_s": latency["p95"],
        "latency_p99_s": latency["p99"],
        "latency_features_p95_s": latency["features_p95"],
    }


def check(section: dict[str, Any]) -> list[str]:
    """Return what is wrong with the section's figures; empty when the promise was kept."""
    expected = {"missing": 0, "duplicated": 0, "wrong_values": 0, "synced": section["produced"]}
    wrong = [f"{key} is {section[key]}, expected {value}" for key, value in expected.items() if section[key] != value]
    if not section["fresh"]:
        wrong.append("no fresh draw was synced by a scheduled run")
    if section["collected"] < section["produced"]:
        wrong.append(f"{section['collected']} draws were collected of {section['produced']}")
    return wrong


def _fresh(context: DemoContext) -> int:
    """Count the fresh draws in the target that scheduled intervals have covered."""
    end = _watermark(context)
    if end <= context.started:
        return 0
    return len(_synced(context, context.started, end))


def _watermark(context: DemoContext) -> datetime:
    earliest = context.started - timedelta(days=1)
    (row,) = context.query("sync/watermark.sql", SQL_ROOT / "bigquery", retained_from=earliest)
    return row["watermark"] or earliest


def _synced(context: DemoContext, start: datetime, end: datetime) -> dict[int, dict[str, Any]]:
    rows = context.query("target_draws.sql", window_start=start, window_end=end)
    return {row["period"]: row for row in rows}


def _differs(row: dict[str, Any], truth: dict[str, Any] | None) -> bool:
    return truth is None or list(row["numbers"]) != list(truth["numbers"])


def _runs_by_type(api: AirflowApi) -> dict[str, int]:
    """Count the successful runs of draw_sync by their type."""
    counts: dict[str, int] = {}
    for run in api.runs("draw_sync", state="success"):
        counts[run["run_type"]] = counts.get(run["run_type"], 0) + 1
    return counts
