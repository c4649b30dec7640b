"""A failure means that new tables of the points are missing; operators that need them refuse and say so.

**Who runs it**: whoever deploys a new version, before the other points DAGs are unpaused. **When**: by hand, at any
time; when nothing is pending it changes nothing.

Applies the migrations of `plugins/drawsguard/points/migrations` that a MySQL server does not have yet, under a user
with DDL rights (connections `mysql_schema_*`; the users of the run time have none), and creates the Hive tables that
are missing. With `dry_run` it only lists what is pending. **When it fails**: each statement may be repeated; remove the
cause and run it again. docs/mysql.md lists schemas, users and grants.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param, task

from drawsguard.points.schema import servers
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.points_schema_operator import PointsSchemaOperator
from operators.points.telemetry.hive_statement_operator import HiveStatementOperator

settings = get_settings()

with DAG(
    dag_id="points_schema",
    description="Bring the MySQL schemas and Hive tables of the points up to date",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "points", "operations"],
    default_args=task_defaults(settings.points_owner),
    params={
        "dry_run": Param(False, type="boolean", description="只列出待应用的迁移，不执行。Only list what is pending."),
    },
):
    for server in servers():
        PointsSchemaOperator(task_id=server, server=server)

    @task.short_circuit
    def apply(params: dict[str, bool] | None = None) -> bool:
        return params is not None and not params["dry_run"]

    apply() >> HiveStatementOperator(task_id="hive", file="schema/points_tables.sql")
