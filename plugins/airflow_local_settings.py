"""Airflow reads this file when it starts (its "local settings"): load the providers once, before tasks are forked.

A task runs in a process that the scheduler (LocalExecutor) or the Celery worker forks, and a DAG file is parsed in one
that the DAG processor forks. Each of them would spend some four seconds on importing the same libraries; what
the parent has imported, the fork has for nothing. Our own modules are left out, so that an edited file is seen by the
next task.
"""

import importlib
import sys

__all__ = ()

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

if sys.argv[1:2] and sys.argv[1] in FORKING:
    for library in LIBRARIES:
        importlib.import_module(library)
