"""A failure means that a month is not migrated yet; the legacy table is untouched and in use, nothing is lost.

**Who runs it**: a person, when a table `draws` from before the partitioned schema is to be moved: first without
`cut_over`, as often as wanted, then with it. **When it fails**: clear the failed task; every month can be copied again.
*differs*: somebody writes to the new table, or rows changed in the old one; copy the month again.

Each month is a mapped task: copied, compared (number of versions and a digest of all values) and recorded in
`history_migration_log`. The cut-over holds the writer's pool, copies and compares once more, and switches the names:
the writer and all readers move together. The old table stays as `draws_unpartitioned`; to go back, rename it again.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from drawsguard.settings import get_settings
from operators.dag_defaults import task_defaults
from operators.draw_history_operators import (
    DrawHistoryCopyOperator,
    DrawHistoryCutOverOperator,
    DrawHistoryPrepareOperator,
)

with DAG(
    dag_id="draw_history_migration",
    description="Move legacy draws into a partitioned table, month by month",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=1,
    tags=["tier:2", "draws", "operations"],
    default_args=task_defaults(get_settings().draws_owner),
    params={
        "side": Param(
            "source",
            enum=["source", "target"],
            description="迁移哪一侧的 draws 表：source 采集表，target 业务表。"
            "Whose table draws: source (collected) or target (business).",
        ),
        "cut_over": Param(
            False,
            type="boolean",
            description="全部月份一致后切换表名，读写同时移到分区表。"
            "Switch the names once every month is equal: writer and readers move together.",
        ),
    },
):
    prepare = DrawHistoryPrepareOperator(task_id="prepare")
    copy = DrawHistoryCopyOperator.partial(task_id="copy_month", max_active_tis_per_dagrun=1).expand(
        month=prepare.output
    )
    # The writer stays away from the name while it changes hands: it holds the only slot of its side's pool.
    copy >> [
        DrawHistoryCutOverOperator(task_id="cut_over_source", side="source", pool="draws_source"),
        DrawHistoryCutOverOperator(task_id="cut_over_target", side="target", pool="draws_target"),
    ]
