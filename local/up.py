"""``make up``: the whole stack with its schema, its history and its schedules running.

usage: python -m local.up [SERVICE…]   (named services only: just those are started)
"""

from __future__ import annotations

import sys
import time
from datetime import UTC, datetime, timedelta

from local.airflow_api import AirflowApi, ApiError, wait_for
from local.config import Config
from local.stack import Stack, StackError

#: How much history the simulated feed has before its first start (days).
HISTORY_DAYS = 3


def prepare(api: AirflowApi) -> None:
    """Create the warehouse's schema through its DAG; repeatable."""
    wait_for("the DAG files to be parsed", lambda: "warehouse_schema" in api.dags(), timeout=120)
    if errors := api.import_errors():
        raise ApiError("\n".join(f"{error['filename']} cannot be imported: {error['stack_trace']}" for error in errors))
    api.pause("warehouse_schema", paused=False)
    api.trigger_and_wait("warehouse_schema", timeout=240)


def start_schedules(api: AirflowApi) -> None:
    """Unpause every DAG: each is harmless until its time or its trigger comes."""
    for dag_id in api.dags():
        api.pause(dag_id, paused=False)


def main() -> int:
    config = Config.from_environment()
    stack = Stack(config)
    names = sys.argv[1:]
    first_start = not (config.state / "prepared").exists()
    try:
        print(f"starting the embedded stack in {config.state}", flush=True)
        stack.up(names)
        if names:
            return 0
        api = AirflowApi.of(config)
        print("applying the schema", flush=True)
        prepare(api)
        start_schedules(api)
        if first_start:
            now = datetime.now(UTC)
            print(f"collecting {HISTORY_DAYS} days of draws", flush=True)
            api.trigger_and_wait(
                "draw_collect", {"from": (now - timedelta(days=HISTORY_DAYS)).isoformat(), "to": now.isoformat()}
            )
            (config.state / "prepared").write_text(str(time.time()))
    except (StackError, ApiError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nAirflow is at {config.airflow_url}\n\n  {'user':<16} password")
    for user, password in config.passwords().items():
        print(f"  {user:<16} {password}")
    print("\nFresh draws arrive every few minutes. `make status`, `make logs`, `make down`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
