"""The alert half of the demo: a fault, its alert, an acknowledgement, the repair, the recovery; and replayed days."""

from __future__ import annotations

import math
from datetime import UTC, datetime, timedelta
from typing import Any

import requests

from drawsguard.alerts.config import load_alert_config
from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext
from local.demo.identity import break_it, found, repair
from local.replayed_checks import FAULTS, Pipeline, find, replay_checks
from local.replays import HEALTHY_DAYS, HEALTHY_STARTS

SERVICE = "collector"
KEY = f"check:identities_pass:{SERVICE}"


def messages(context: DemoContext) -> list[dict[str, Any]]:
    """Return what the alert sink received since the demo began."""
    kept = requests.get(f"{context.config.url('alert_sink', 'ALERT_SINK_PORT')}/messages", timeout=10).json()
    return [one for one in kept if one["at"] >= context.started.isoformat()]


def _received(context: DemoContext, start: str) -> dict[str, Any] | None:
    return next(
        (one for one in messages(context) if one["title"].startswith(start) and SERVICE in one["message"]), None
    )


def _caught_up(api: AirflowApi) -> bool:
    """Return whether the monitor has run for so long that it no longer waits for others to catch up with it."""
    begun = [run["start_date"] for run in api.runs("monitoring_checks") if run["start_date"]]
    # A run begins a little before its first look.
    patience = timedelta(minutes=load_alert_config().catch_up_minutes + 1)
    return bool(begun) and datetime.now(UTC) - datetime.fromisoformat(min(begun)) > patience


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Play one fault through the running Airflow, and every other class of fault on replayed days."""
    wait_for("the monitor to be under way", lambda: _caught_up(api), timeout=1800, pause=5)
    break_it(context, "invoker_missing", SERVICE)
    found(context, api, SERVICE)
    visible = datetime.now(UTC)
    alert = wait_for("the alert", lambda: _received(context, "[P0]"), timeout=900, pause=2)
    live = max(0.0, (datetime.fromisoformat(alert["at"]) - visible).total_seconds())
    context.say(f"alert {live:.0f} s after the check's result was stored: {alert['title']}")
    context.api("requester").trigger_and_wait("alert_acknowledge", {"key": KEY, "note": "looking"}, timeout=900)
    repair(context, SERVICE)
    found(context, api, SERVICE)
    replayed = [find(fault) for fault in FAULTS]
    false_alarms = healthy_alerts()
    recovery = wait_for("the recovery message", lambda: _received(context, "[恢复"), timeout=900, pause=2)
    context.say(f"recovery: {recovery['title']}")
    (life,) = context.query("alert_history.sql", key_prefix=KEY, since=context.started)
    seconds = sorted([live, *[one.detect_seconds for one in replayed if one.detect_seconds is not None]])
    return {
        "faults_injected": 1 + len(FAULTS),
        "detected": len(seconds),
        "false_alarms": false_alarms,
        "healthy_days": HEALTHY_DAYS * len(HEALTHY_STARTS),
        "time_to_detect_live_s": live,
        "time_to_detect_p95_s": seconds[math.ceil(0.95 * len(seconds)) - 1],
        "acknowledged_by": life["acknowledged_by"],
        "recovered": int(life["status"] == "resolved"),
    }


def healthy_alerts() -> int:
    """Return how many alerts all checks raise on the healthy days."""
    return sum(
        len(replay_checks(Pipeline(start, HEALTHY_DAYS), start, start + timedelta(days=HEALTHY_DAYS)).fired)
        for start in HEALTHY_STARTS
    )


def check(section: dict[str, Any]) -> list[str]:
    """Return the promises that were not kept."""
    problems = []
    if section["detected"] != section["faults_injected"]:
        problems.append(f"{section['faults_injected']} faults, {section['detected']} detected")
    if section["false_alarms"]:
        problems.append(f"{section['false_alarms']} false alarms on healthy days")
    if section["time_to_detect_p95_s"] > 60:
        problems.append(f"detection took {section['time_to_detect_p95_s']} s")
    if section["acknowledged_by"] != "requester" or not section["recovered"]:
        problems.append("the alert was not acknowledged and recovered")
    return problems
