"""The golden batch through the whole downline: report, workbook, approvals by named users, both sides, restore."""

from __future__ import annotations

import json
import time
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import MySQLdb

from drawsguard.approvals.model import APPROVE, DIGEST_FIELD
from drawsguard.points.database import DEFINITIONS_MODE, SQL_MODE, prepare
from drawsguard.points.environments import ENVIRONMENTS
from drawsguard.settings import get_settings
from local.airflow_api import AirflowApi, ApiError, wait_for
from local.config import Config, mysql_database
from local.demo.context import DemoContext
from local.golden.dataset import EXPECTED, Golden, build
from local.golden.load import confirm, load_environment, load_evidence

REQUESTER, FIRST, SECOND = "requester", "approver", "second_approver"
DAGS = ("points_usage_report", "points_downline", "points_restore")

#: How long a question waits before it is answered.
PATIENCE = timedelta(seconds=6)

#: Points that the demo takes offline and brings back.
RESTORED = 3


def connect(config: Config, user: str) -> Any:
    """Return a prepared connection of a MySQL user: a server's own (governance, …) or its owner ``<server>_schema``."""
    return prepare(
        MySQLdb.connect(
            host=config.host("mysql"),
            port=config.port("MYSQL_PORT"),
            user=user,
            password=config.secret(f"mysql_{user}"),
            database=mysql_database(user),
            charset="utf8mb4",
        ),
        DEFINITIONS_MODE if user.removesuffix("_schema") in ENVIRONMENTS else SQL_MODE,
    )


def load_golden(config: Config) -> Golden:
    """Load the golden case into both environments, as if its window had ended yesterday."""
    yesterday = datetime.now(ZoneInfo(get_settings().business_timezone)).date() - timedelta(days=1)
    golden = build(yesterday)
    for name in ENVIRONMENTS:
        with closing(connect(config, f"{name}_schema")) as connection:
            load_environment(connection, getattr(golden, name))
    with closing(connect(config, "governance")) as governance:
        load_evidence(governance, golden)
    (config.directory("nos") / "clusters.json").write_text(json.dumps(golden.cluster_of()))
    return golden


def answer_until_done(config: Config, dag_id: str, run_id: str, who: dict[str, str], timeout: float = 900) -> int:
    """Approve what a run asks, each task by its user in ``who``, until it has ended; the requester tries each first.

    An answer that comes within seconds of the question can meet a task that is still being deferred: Airflow then
    marks the try as failed, and the retry asks again. So the demo waits and answers again, as a person would.

    :returns: how many tasks refused the requester.
    :raises ApiError: when the run fails or does not end in ``timeout`` seconds.
    """
    admin, requester = AirflowApi.of(config), AirflowApi.of(config, REQUESTER)
    refusals: set[str] = set()

    def ended() -> bool:
        for detail in admin.awaiting_approval(dag_id, run_id):
            instance = detail["task_instance"]
            asked = datetime.fromisoformat(detail["created_at"])
            if datetime.now(UTC) - asked < PATIENCE:
                continue
            task_id, shown = instance["task_id"], {DIGEST_FIELD: detail["params"][DIGEST_FIELD]["value"]}
            if task_id not in refusals and refused(
                lambda t=task_id, f=shown: requester.respond(dag_id, run_id, t, APPROVE, **f), 403
            ):
                refusals.add(task_id)
            AirflowApi.of(config, who[task_id]).respond(dag_id, run_id, task_id, APPROVE, **shown)
        return admin.run(dag_id, run_id)["state"] in ("success", "failed")

    wait_for(f"run {run_id} of {dag_id} to end", ended, timeout, pause=2)
    admin.wait_run(dag_id, run_id)
    return len(refusals)


def shown_digest(config: Config, run_id: str, task_id: str, dag_id: str = "points_downline") -> str:
    """Wait until a task asks, and return the digest that its form shows."""
    admin = AirflowApi.of(config)

    def asked() -> Any:
        run = admin.run(dag_id, run_id)
        if run["state"] in ("failed", "success"):
            raise ApiError(f"run {run_id} of {dag_id} ended as {run['state']} before {task_id} asked")
        waiting = admin.awaiting_approval(dag_id, run_id)
        return next((d for d in waiting if d["task_instance"]["task_id"] == task_id), None)

    detail = wait_for(f"{task_id} to ask", asked, timeout=900)
    return str(detail["params"][DIGEST_FIELD]["value"])


def refused(call: Any, *statuses: int) -> bool:
    """Return whether Airflow refused a call with one of the statuses."""
    try:
        call()
    except ApiError as error:
        return error.status in statuses
    return False


def run(api: AirflowApi, context: DemoContext) -> dict[str, Any]:
    """Play the golden batch and return its figures."""
    config = context.config
    golden = load_golden(config)
    for dag_id in DAGS:
        api.pause(dag_id, paused=False)
    requester = AirflowApi.of(config, REQUESTER)
    batch_id = f"demo{int(time.time()) % 10**9}"
    context.say("usage report of the golden case")
    requester.trigger_and_wait("points_usage_report", {"batch_id": batch_id}, timeout=900)
    folder = Path(get_settings().artifacts_address)
    confirmed = folder / f"confirmed-{batch_id}.xlsx"
    marked = confirm(folder / batch_id / f"review-{batch_id}.xlsx", confirmed, golden.confirmed)
    context.say(f"{marked} points confirmed in the workbook; downline of both environments")
    attempts = [
        refused(lambda: requester.trigger("points_downline", {"dry_run": False}), 400, 422),  # names no workbook
    ]
    run_id = requester.trigger("points_downline", {"workbook": confirmed.name, "dry_run": False})
    roles = (("countersign", FIRST), ("downline", SECOND))
    who = {f"{role}_{environment}": user for environment in ENVIRONMENTS for role, user in roles}
    refusals = answer_until_done(config, "points_downline", run_id, who) + sum(attempts)
    context.say(f"both environments done; {refusals} attempts of {REQUESTER} to bypass the approval refused")
    counts = api.call("GET", f"/dags/points_downline/dagRuns/{run_id}/taskInstances/report/xcomEntries/return_value")[
        "value"
    ]
    counts = json.loads(counts) if isinstance(counts, str) else counts
    restored = _restore(config, batch_id, golden.confirmed[:RESTORED])
    context.say(f"{restored} points restored in both environments")
    return {**counts, "refused_attempts": refusals, "restored": restored, "batch_id": batch_id}


def _restore(config: Config, batch_id: str, points: list[int]) -> int:
    requester = AirflowApi.of(config, REQUESTER)
    alive = []
    for environment in ENVIRONMENTS:
        conf = {"batch_id": batch_id, "environment": environment, "ids": points, "dry_run": False}
        run_id = requester.trigger("points_restore", conf)
        answer_until_done(config, "points_restore", run_id, {"restore": FIRST})
        with closing(connect(config, environment)) as connection, closing(connection.cursor()) as cursor:
            cursor.execute(
                "SELECT COUNT(DISTINCT id) FROM define_nosdata_general WHERE status > 0 AND id IN %s", (points,)
            )
            alive.append(int(cursor.fetchone()[0]))
    return min(alive)


def check(figures: dict[str, Any]) -> list[str]:
    """Return every promise of this part that was not kept."""
    problems = [
        f"{name} is {figures[name]}, the golden case {EXPECTED[name]}"
        for name in ENVIRONMENTS
        if figures[name] != EXPECTED[name]
    ]
    if figures["refused_attempts"] < 5:
        problems.append(f"only {figures['refused_attempts']} of 5 attempts to bypass the approval were refused")
    if figures["restored"] != RESTORED:
        problems.append(f"{figures['restored']} of {RESTORED} points were restored")
    return problems


if __name__ == "__main__":
    here = DemoContext(Config.from_environment(), started=datetime.now(UTC))
    result = run(here.api("admin"), here)
    print(json.dumps(result, indent=2, ensure_ascii=False))
    print(check(result) or "as promised")
