"""A failure means that new tables or views are missing; what already exists keeps working.

**Who runs it**: whoever deploys a new version, before the other DAGs are unpaused. **When**: by hand, at any time; when
nothing is pending it changes nothing.

Applies the migrations in `include/sql/bigquery/schema` that the warehouse does not have yet. With `dry_run` it only
lists them. An applied migration that was edited is refused, by name: restore the file and add a new one.

Tables `draws` and `draws_14w` from before this repository are left as they are: the run then applies what does not
stand on them, and fails with the next step, the cut-over by `draw_history_migration`. Run this again after it.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.replay.dead_letter_topic_operator import DeadLetterTopicOperator
from operators.operations.warehouse_schema_operator import WarehouseSchemaOperator

with DAG(
    dag_id="warehouse_schema",
    description="Bring the BigQuery datasets, tables and views up to date",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=1,
    tags=["tier:1", "draws", "operations"],
    default_args=task_defaults(get_settings().draws_owner),
    params={
        "dry_run": Param(False, type="boolean", description="只列出待应用的迁移，不执行。Only list what is pending."),
    },
):
    WarehouseSchemaOperator(task_id="migrate", pool="warehouse_schema")
    DeadLetterTopicOperator(task_id="dead_letter_topic")
