"""Parse the DAG files given as arguments and report, as JSON on the last line, the time it took and the I/O it did.

Airflow and its providers are imported first: their cost is not ours.
"""

from __future__ import annotations

import importlib
import json
import runpy
import sys
import time
from typing import Any

AIRFLOWS_OWN = (
    "airflow.sdk",
    "airflow.plugins_manager",
    "airflow.models.deadline",
    "airflow.providers.google.cloud.operators.bigquery",
    "airflow.providers.google.cloud.hooks.pubsub",
    "airflow.providers.google.cloud.operators.pubsub",
    "airflow.providers.google.cloud.sensors.pubsub",
    "airflow.providers.smtp.notifications.smtp",
    "airflow.providers.standard.operators.hitl",
    "airflow.providers.standard.operators.python",
    "airflow.providers.standard.triggers.temporal",
    "airflow.providers.mysql.hooks.mysql",
    "airflow.providers.apache.hive.hooks.hive",
    "airflow.providers.redis.hooks.redis",
    "airflow.providers.apprise.hooks.apprise",
    "croniter",  # runs `file` on the interpreter when it is imported
    "openpyxl",
)
WATCHED = ("socket.connect", "socket.getaddrinfo", "sqlite3.connect", "subprocess.Popen", "os.system")

touched: list[str] = []
current = ""


def watch(event: str, arguments: tuple[Any, ...]) -> None:
    if current and event in WATCHED:
        touched.append(f"{current}: {event} {arguments!r:.80}")


def forbid(name: str) -> Any:
    def refuse(*arguments: Any, **_: Any) -> None:
        touched.append(f"{current}: {name} {arguments!r:.80}")
        raise RuntimeError(f"{name} at parse time")

    return refuse


def main(files: list[str]) -> None:
    global current
    for module in AIRFLOWS_OWN:
        importlib.import_module(module)
    from airflow.sdk import Connection, Variable

    Variable.get = forbid("Variable.get")
    Connection.get = forbid("Connection.get")
    sys.addaudithook(watch)

    started = time.process_time()
    for current in files:
        try:
            runpy.run_path(current)
        except RuntimeError as error:
            if "at parse time" not in str(error):
                raise
    seconds = time.process_time() - started
    current = ""
    print(json.dumps({"seconds": seconds, "touched": touched}))  # noqa: T201 - the answer


if __name__ == "__main__":
    sys.path[:0] = ["plugins", "dags"]
    main(sys.argv[1:])
