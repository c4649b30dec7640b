"""What the integration tests of the usage evidence share: connections, emptied stores, runs of DAGs and operators."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import closing
from datetime import date
from pathlib import Path
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook

from drawsguard.points.telemetry.hive_source import statements

REPOSITORY = Path(__file__).resolve().parents[2]
HIVE_TABLES = (
    "base_evt", "evt_rejected", "base_evt_ts", "base_evt_day", "evt_day_quality", "ads_evt_ops_status",
    "ads_evt_ops_build", "src_evt",
)  # fmt: skip
MYSQL_TABLES = (
    "ads_evt_ops_status_ago", "ads_evt_ops_status", "evidence_batch", "evidence_guard_log", "evidence_check",
    "evidence_day", "evidence_batch_day",
)  # fmt: skip


def hive(query: str, values: dict[str, Any] | None = None) -> list[tuple[Any, ...]]:
    """Run one statement on Hive and return its rows."""
    with closing(HiveServer2Hook().get_conn()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query, values)
        return list(cursor.fetchall()) if cursor.description else []


def hive_file(path: str, values: dict[str, Any] | None = None) -> None:
    """Run a statement file on Hive, in one session."""
    with closing(HiveServer2Hook().get_conn()) as connection, closing(connection.cursor()) as cursor:
        for statement in statements(path):
            cursor.execute(statement, values)


def mysql(query: str, values: Any = None) -> list[tuple[Any, ...]]:
    """Run one statement on MySQL, commit, and return its rows."""
    with closing(MySqlHook().get_conn()) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(query, values)
        rows = list(cursor.fetchall())
        connection.commit()
        return rows


def create_stores() -> None:
    """Create all tables on both sides, empty."""
    hive("CREATE DATABASE IF NOT EXISTS cma")
    for table in HIVE_TABLES:
        hive(f"DROP TABLE IF EXISTS cma.{table}")
    hive_file("schema/points_tables.sql")
    empty_mysql()


def empty_mysql() -> None:
    """Delete everything that pushes and checks left in MySQL."""
    for table in MYSQL_TABLES:
        mysql(f"DELETE FROM rsp_datagovern.{table}")


def migrate_airflow() -> None:
    """Create Airflow's own tables, which a run of a DAG needs."""
    airflow = Path(sys.executable).with_name("airflow")
    subprocess.run([airflow, "db", "migrate"], check=True, capture_output=True, env=os.environ)


def run_dag(dag_id: str, **params: Any) -> str:
    """Run a DAG as a person would trigger it and return the state it ended in; nothing is retried."""
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(REPOSITORY / "dags" / "points" / f"{dag_id}.py"))
    assert not bag.import_errors, bag.import_errors
    dag = bag.get_dag(dag_id)
    dag.deadline = None  # dag.test() cannot evaluate deadlines
    for task in dag.tasks:
        # A mapped task keeps its arguments in partial_kwargs.
        if hasattr(task, "partial_kwargs"):
            task.partial_kwargs["retries"] = 0
        else:
            task.retries = 0
    return str(dag.test(run_conf=params).state.value)


def day(text: str) -> date:
    """Return a date from yyyy-MM-dd."""
    return date.fromisoformat(text)
