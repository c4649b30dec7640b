"""What turns a started stack into a running one, for ``make up`` and docker-compose: schema, schedules, history."""

from __future__ import annotations

from collections.abc import Collection
from datetime import UTC, datetime, timedelta

from local.airflow_api import AirflowApi, ApiError, wait_for
from local.config import Config

#: How much history the simulated feed has before its first start (days).
HISTORY_DAYS = 3

SCHEMA_DAGS = ("warehouse_schema", "points_schema")


def prepare(api: AirflowApi) -> None:
    """Bring the schemas of both pipelines up to date through their DAGs; repeatable."""
    wait_for("the DAG files to be parsed", lambda: set(SCHEMA_DAGS) <= set(api.dags()), timeout=900)
    if errors := api.import_errors():
        raise ApiError("\n".join(f"{error['filename']} cannot be imported: {error['stack_trace']}" for error in errors))
    for dag_id in SCHEMA_DAGS:
        api.pause(dag_id, paused=False)
        api.trigger_and_wait(dag_id, timeout=900)


def start_schedules(api: AirflowApi, without: Collection[str] = ()) -> None:
    """Unpause the DAGs of the draw pipeline and its operation, but those in ``without``.

    Those of the points lifecycle stay paused: their schedules expect a day's telemetry, which exists only where it was
    generated or delivered; without it their runs are refused, as they should be.
    """
    for dag_id, dag in api.dags().items():
        if dag_id not in without and "points" not in {tag["name"] for tag in dag["tags"]}:
            api.pause(dag_id, paused=False)


def collect_history(api: AirflowApi, config: Config) -> None:
    """Collect the draws of the last days in bulk, at the first start only (remembered beside the metadata)."""
    done = config.directory("airflow") / "history-collected"
    if done.exists():
        return
    now = datetime.now(UTC)
    print(f"collecting {HISTORY_DAYS} days of draws", flush=True)
    window = {"from": (now - timedelta(days=HISTORY_DAYS)).isoformat(), "to": now.isoformat()}
    api.trigger_and_wait("draw_history", window)
    done.write_text(now.isoformat())
