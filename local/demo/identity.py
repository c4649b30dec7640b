"""The identity half of the demo: break the scheduler's identity, find every break, repair it with two people."""

from __future__ import annotations

import json
import time
from typing import Any

import requests

from drawsguard.approvals.model import APPROVE, DIGEST_FIELD
from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext

SERVICE = "data-sync-service"

#: Each group is broken at once and repaired by one run.
GROUPS = (
    ("invoker_missing", "job_wrong_audience"),
    ("account_missing", "scheduler_agent_revoked", "job_not_enabled"),
    ("service_not_ready", "job_without_token", "token_forbidden"),
)


def control_plane(context: DemoContext) -> str:
    """Return the address of the local control plane."""
    return context.config.url("google", "GOOGLE_PORT")


def break_it(context: DemoContext, fault: str, service: str = SERVICE) -> None:
    """Break the control plane in one way."""
    answer = requests.post(f"{control_plane(context)}/faults", json={"fault": fault, "service": service}, timeout=10)
    answer.raise_for_status()


def found(context: DemoContext, api: AirflowApi, service: str = SERVICE) -> set[str]:
    """Run the DAG oidc_checks and return the codes of what it found about a service."""
    run_id = api.trigger("oidc_checks")
    wait_for(
        "oidc_checks", lambda: api.run("oidc_checks", run_id)["state"] in ("success", "failed"), timeout=900, pause=1
    )
    rows = context.query("identity_findings.sql", run_id=run_id, service=service, since=context.started)
    return {finding["code"] for row in rows for finding in json.loads(row["findings"])}


def repair(context: DemoContext, service: str = SERVICE) -> str:
    """Run the DAG oidc_repair as the requester, have the approver approve it, and return the state of the run."""
    requester, approver = context.api("requester"), context.api("approver")
    run_id = requester.trigger("oidc_repair", {"service": service})

    def ended() -> str | None:
        # An answer within two seconds of the question can fail the task (apache/airflow#68741), which asks again.
        for question in approver.awaiting_approval("oidc_repair", run_id):
            time.sleep(3)
            digest = question["params"][DIGEST_FIELD]["value"]
            approver.respond("oidc_repair", run_id, "apply", APPROVE, **{DIGEST_FIELD: digest})
        state = requester.run("oidc_repair", run_id)["state"]
        return state if state in ("success", "failed") else None

    return str(wait_for("the repair", ended, timeout=900, pause=1))


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Break, find and repair each group; every figure is read back from the checks' log."""
    breaks: list[str] = []
    named: list[str] = []
    repaired: list[str] = []
    for group in GROUPS:
        for fault in group:
            break_it(context, fault)
        breaks += group
        codes = found(context, api)
        named += [fault for fault in group if fault in codes]
        context.say(f"identity broken ({', '.join(group)}); found: {', '.join(sorted(codes))}")
        state = repair(context)
        left = found(context, api)
        repaired += [fault for fault in group if fault not in left]
        context.say(f"identity repaired with two people: {state}; left: {', '.join(left) or 'nothing'}")
    return {"breaks": len(breaks), "found": len(named), "repaired": len(repaired), "names": breaks}


def check(section: dict[str, Any]) -> list[str]:
    """Return the promises that were not kept."""
    if section["breaks"] == section["found"] == section["repaired"]:
        return []
    return [f"{section['breaks']} breaks, {section['found']} found, {section['repaired']} repaired"]
