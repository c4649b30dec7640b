"""A failure means that a month is not migrated yet; the legacy table is untouched and in use, nothing is lost.

**Who runs it**: a person, when a table `draws` from before the partitioned schema is to be moved: first without
`cut_over`, as often as wanted, then with it. **When it fails**: clear the failed task; every month can be copied again.
*differs*: somebody writes to the new table, or rows changed in the old one; copy the month again.

Each month is a mapped task: copied, compared (number of versions and a digest of all values) and recorded in
`history_migration_log`. The cut-over asks another person to approve it, with the figures of the months that have ended;
then it holds the writer's pool, copies and compares once more, and switches the names: the writer and all readers move
together. When those months changed since the question, it is refused: trigger a new run. The old table stays as
`draws_unpartitioned`; to go back, rename it again. Rows that cannot be taken over (no period, time or stamp; values
that disagree) are set aside in `draws_quarantine` with their fault. A legacy `draws_14w` is set aside with the target
and recomputed by `feature_refresh`. The order of all steps: docs/adoption.md.
"""

from __future__ import annotations

from airflow.sdk import DAG, Param

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.history.draw_history_copy_operator import DrawHistoryCopyOperator
from operators.draws.history.draw_history_cut_over_operator import DrawHistoryCutOverOperator
from operators.draws.history.draw_history_prepare_operator import DrawHistoryPrepareOperator

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
            description="全部月份一致、且另一人批准后切换表名，读写同时移到分区表。"
            "Switch the names once every month is equal and another person has approved: writer and readers move "
            "together.",
        ),
    },
):
    prepare = DrawHistoryPrepareOperator(task_id="prepare")
    copy = DrawHistoryCopyOperator.partial(task_id="copy_month", max_active_tis_per_dagrun=1).expand(
        month=prepare.output
    )
    # No writer uses the name while it is switched: the task holds the only slot of its side's pool.
    copy >> [
        DrawHistoryCutOverOperator(
            task_id=f"cut_over_{side}",
            side=side,
            pool=f"draws_{side}",
            trigger_rule="none_failed",  # no month to copy is skipped, and features may still have to be switched
            execution_timeout=None,  # a person's answer has its own limit
        )
        for side in ("source", "target")
    ]
