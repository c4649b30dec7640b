"""Airflow reads this file when it starts (its "local settings"): load the providers once, before tasks are forked.

A task runs in a process that the scheduler (LocalExecutor) or the Celery worker forks, and a DAG file is parsed in one
that the DAG processor forks. Each of them would spend some four seconds on importing the same libraries; what
the parent has imported costs the fork nothing. Our own modules are left out, so that an edited file is seen by the
next task.

It also gives each DAG its access control, from one table (drawsguard/access.py), and stops a process whose settings are
wrong or unknown (drawsguard/settings.py) before anything runs with them.
"""

import importlib
import sys
from typing import Any

from airflow.configuration import conf

__all__ = ("dag_policy",)

#: The commands that fork tasks or parsers.
FORKING = ("scheduler", "dag-processor", "celery")
LIBRARIES = (
    "airflow.providers.apache.hive.hooks.hive",
    "airflow.providers.common.sql.operators.sql",
    "airflow.providers.google.cloud.hooks.pubsub",
    "airflow.providers.google.cloud.operators.bigquery",
    "airflow.providers.mysql.hooks.mysql",
    "airflow.providers.redis.hooks.redis",
    "airflow.providers.smtp.hooks.smtp",
    "airflow.providers.standard.operators.hitl",
    "openpyxl",
    "pyhive.hive",
)

#: The commands that serve a deployment: they do not start with wrong settings. Others (db, version) do not need them.
SERVING = (*FORKING, "api-server", "triggerer", "standalone")


def refuse_wrong_settings() -> None:
    """Read the settings once; their error names what is wrong. The module is left to the tasks (see above)."""
    loaded = set(sys.modules)
    from drawsguard.settings import get_settings

    get_settings()
    for name in set(sys.modules) - loaded:
        if name.partition(".")[0] == "drawsguard":
            del sys.modules[name]


if sys.argv[1:2] and sys.argv[1] in SERVING:
    refuse_wrong_settings()
if sys.argv[1:2] and sys.argv[1] in FORKING:
    for library in LIBRARIES:
        importlib.import_module(library)


def dag_policy(dag: Any) -> None:
    """Set the access control of a DAG of ours; only FAB's auth manager turns it into permissions.

    Without FAB nothing is set, since a role that does not exist would be an import error. A DAG of others in the same
    Airflow is left as it is.
    """
    from drawsguard.access import ACCESS, access_for  # read when needed: an edited table is seen by the next parse

    if "FabAuthManager" in conf.get("core", "auth_manager") and dag.dag_id in ACCESS:
        dag.access_control = access_for(dag.dag_id)
