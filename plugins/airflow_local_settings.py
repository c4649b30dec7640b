"""Airflow reads this file when it starts (its "local settings"): load the providers once, before tasks are forked.

A task runs in a process that the scheduler (LocalExecutor) or the Celery worker forks, and a DAG file is parsed in one
that the DAG processor forks. Each of them would spend some four seconds on importing the same libraries; what
the parent has imported costs the fork nothing. Our own modules are left out, so that an edited file is seen by the
next task.

It also gives each DAG its access control, from one table (drawsguard/access.py), leaves out those of absent parts
(drawsguard/parts.py), and stops a process whose settings are wrong or unknown (drawsguard/settings.py), or that would
import other modules of the same names as ours.
"""

import importlib
import importlib.util
import sys
from pathlib import Path
from typing import Any

from airflow.configuration import conf
from airflow.exceptions import AirflowClusterPolicySkipDag

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


#: Our packages beside this file. Airflow puts all of plugins/ on one path with everything else that a company has.
OURS = ("auth_managers", "dag_params", "deadlines", "drawsguard", "hooks", "notifiers", "operators", "triggers")


def refuse_collisions(dags_folder: str) -> None:
    """Refuse a module of the same name as one of ours that is found first: our code would import theirs.

    :param dags_folder: the path of DAGs, which comes before that of plugins when a file is parsed.
    :raises ImportError: naming each, and where it is.
    """
    here, dags = Path(__file__).resolve().parent, Path(dags_folder)
    found = [str(path) for name in OURS for path in (dags / name, dags / f"{name}.py") if path.exists()]
    for name in OURS:
        spec = importlib.util.find_spec(name)
        if spec is None:
            continue
        place = Path(next(iter(spec.submodule_search_locations or ()), spec.origin or name))
        found += [str(place)] if place.resolve() != here / name else []
    if found:
        raise ImportError(
            f"These modules have the names of ours in {here} and are found before them: {', '.join(found)}. "
            "Rename them, or run this repository in an Airflow of its own (docs/go-live.md)."
        )


if sys.argv[1:2] and sys.argv[1] in SERVING:
    refuse_wrong_settings()
    refuse_collisions(conf.get("core", "dags_folder"))
if sys.argv[1:2] and sys.argv[1] in FORKING:
    for library in LIBRARIES:
        importlib.import_module(library)


def dag_policy(dag: Any) -> None:
    """Leave out a DAG whose part this company does not have; set the access control of every other of ours.

    Only FAB's auth manager turns that into permissions.

    Without FAB nothing is set, since a role that does not exist would be an import error. A DAG of others in the same
    Airflow is left as it is.
    """
    # Read when needed: an edited table is seen by the next parse.
    from drawsguard.access import ACCESS, access_for
    from drawsguard.parts import absent_dags
    from drawsguard.settings import get_settings

    if dag.dag_id in ACCESS and dag.dag_id in absent_dags(get_settings().absent):
        raise AirflowClusterPolicySkipDag(f"{dag.dag_id}: its part is switched off by the setting absent_parts")
    if "FabAuthManager" in conf.get("core", "auth_manager") and dag.dag_id in ACCESS:
        dag.access_control = access_for(dag.dag_id)
