"""The preflight part of the demo: the DAG looks at the embedded stack; what it cannot answer there is a warning.

Played alone it names what the parts before it would have made (the source of telemetry, the definition tables).
"""

from __future__ import annotations

from typing import Any

from local.airflow_api import AirflowApi, wait_for
from local.demo.context import DemoContext

COUNTS = ("checks", "passed", "failed", "warned")


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Run the DAG, test messages included, and return the figures of its report."""
    run_id = api.trigger("preflight", {"test_message": True})
    wait_for("preflight", lambda: api.run("preflight", run_id)["state"] in ("success", "failed"), timeout=900, pause=1)
    kept = f"/dags/preflight/dagRuns/{run_id}/taskInstances/report/xcomEntries/report"
    report = api.call("GET", kept, params={"deserialize": True})["value"]
    context.say(f"preflight: {report['verdict']}")
    missing = [f"{row['part']}/{row['name']}: {row['found']}" for row in report["rows"] if row["status"] == "fail"]
    return {name: report[name] for name in COUNTS} | {"missing": missing}


def check(section: dict[str, Any]) -> list[str]:
    """Return the promises that were not kept."""
    problems = [f"failed: {one}" for one in section["missing"]]
    return problems if section["passed"] else [*problems, "nothing passed"]
