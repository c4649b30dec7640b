"""The alert half of the demo: a fault, its alert, an acknowledgement, the repair, the recovery; and replayed days."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import requests

from drawsguard.alerts.config import load_alert_config
from drawsguard.monitoring.replay import ALLOWANCES, replay
from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext
from local.demo.identity import break_it, found, repair
from local.replays import BREAKS, HEALTHY_DAYS, HEALTHY_STARTS, broken_day, rule, tables

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


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Play one fault through the running Airflow, and the others on replayed days."""
    break_it(context, "invoker_missing", SERVICE)
    found(context, api, SERVICE)
    alert = wait_for("the alert", lambda: _received(context, "[P0]"), timeout=300, pause=2)
    context.say(f"alert: {alert['title']}")
    context.api("requester").trigger_and_wait("alert_acknowledge", {"key": KEY, "note": "looking"}, timeout=240)
    repair(context, SERVICE)
    found(context, api, SERVICE)
    recovery = wait_for("the recovery message", lambda: _received(context, "[恢复"), timeout=600, pause=2)
    context.say(f"recovery: {recovery['title']}")
    (life,) = context.query("monitoring/alert_history.sql", key_prefix=KEY, since=context.started)
    detections = [broken_day(*fault) for fault in BREAKS]
    seen = sorted(one.after_visible.total_seconds() for one in detections if one.after_visible is not None)
    return {
        "faults_injected": 1 + len(BREAKS),
        "detected": 1 + len(seen),
        "false_alarms": healthy_alerts(),
        "healthy_days": HEALTHY_DAYS * len(HEALTHY_STARTS),
        "time_to_detect_p95_s": seen[-1] if seen else None,
        "acknowledged_by": life["acknowledged_by"],
        "recovered": int(life["status"] == "resolved"),
    }


def healthy_alerts() -> int:
    """Return how many alerts the healthy days raise on all tables."""
    policy = load_alert_config().policy
    return sum(
        replay(rule(newest, table), start, start + timedelta(days=HEALTHY_DAYS), policy).alerts
        for start in HEALTHY_STARTS
        for newest in [tables(start, HEALTHY_DAYS)]
        for table in ALLOWANCES
    )


def check(section: dict[str, Any]) -> list[str]:
    """Return the promises that were not kept."""
    problems = []
    if section["detected"] != section["faults_injected"]:
        problems.append(f"{section['faults_injected']} faults, {section['detected']} detected")
    if section["false_alarms"]:
        problems.append(f"{section['false_alarms']} false alarms on healthy days")
    if section["time_to_detect_p95_s"] is None or section["time_to_detect_p95_s"] > 60:
        problems.append(f"detection took {section['time_to_detect_p95_s']} s")
    if section["acknowledged_by"] != "requester" or not section["recovered"]:
        problems.append("the alert was not acknowledged and recovered")
    return problems
