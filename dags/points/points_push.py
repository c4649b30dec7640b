"""A failure means that today's usage evidence is not in MySQL, or Hive was not emptied; nothing is lost or duplicated.

**What it does.** At 15:00 Beijing time it pushes `cma.ads_evt_ops_status` to `rsp_datagovern.ads_evt_ops_status_ago`.
*guard_before* refuses what would lose, duplicate or misdate evidence; *push* streams the rows and publishes them as one
batch in one transaction; *truncate* empties Hive only when window, rows, sum and checksum agree on both sides;
*consolidate* adds a batch of the daily flow to `ads_evt_ops_status` once, and deletes batches older than a week;
*pushed* succeeds when the ledger has the day's batch of every flow, which the deadline waits for, else it is skipped.

**Who runs it.** The scheduler, at 15:00 and not before; a build that ends later is pushed as soon as it is there (a run
started by the asset `cma.ads_evt_ops_status`). A person triggers it with `run_date` for another day's build, or with
`size_overrule_reason` after a refusal because of the size; no other can be overruled. It may be killed and run again
at any point: the ledger `rsp_datagovern.evidence_batch` records how far each batch came. A run that ended is cleared
from *guard_before* on: *push* takes only what the guard let through since the run started.

**When it fails.** The message starts with the reason in brackets and ends with what to do; every decision of the guard
is in `rsp_datagovern.evidence_guard_log`. *empty_source*, *wrong_window*: run `points_hive_aggregation` for the same
`run_date`. *already_pushed*: nothing to do. *shrunk*, *grown*: compare with `cma.evt_day_quality`. *mysql_changed*,
*checksum_differs*, *changed_since_build*: somebody else writes to these tables; find out who before anything else.
*keeps_files*: a Hive table is external and would keep its files; the message has the statement that cures it.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from airflow.sdk import DAG, Asset, task_group

from dag_params.push import push_params
from dag_params.run_date import run_date_param
from dag_params.schedules import daily_or_after
from drawsguard.points.telemetry.config import points_config, scheduled_flows
from drawsguard.settings import get_settings
from notifiers.sla_deadline import sla_deadline
from notifiers.sla_signal import report_delivery
from notifiers.task_defaults import task_defaults
from notifiers.task_signal import report_success
from operators.points.telemetry.evidence_consolidate_operator import EvidenceConsolidateOperator
from operators.points.telemetry.evidence_pushed_operator import EvidencePushedOperator
from operators.points.telemetry.guarded_truncate_operator import GuardedTruncateOperator
from operators.points.telemetry.hive_to_mysql_operator import HiveToMySqlStreamOperator
from operators.points.telemetry.push_guard_operator import PushGuardOperator
from operators.points.telemetry.push_plan_operator import PushPlanOperator

settings = get_settings()

DUE = "15:00"  # business time

with DAG(
    dag_id="points_push",
    description="Push the usage evidence from Hive to MySQL, guarded; empty Hive when both sides agree",
    doc_md=__doc__,
    schedule=daily_or_after(DUE, "cma.ads_evt_ops_status"),  # built after that: pushed then
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_evidence", execution_timeout=timedelta(minutes=30)),
    deadline=sla_deadline("points_push"),
    params={
        "run_date": run_date_param(
            "推送该日构建的数据；留空为当天。", "Push what was built for this day; empty: the day of the run."
        ),
        **push_params(scheduled_flows(points_config())),
    },
):
    connections: dict[str, Any] = {
        "hiveserver2_conn_id": settings.hive_conn_id,
        "mysql_conn_id": settings.governance_mysql_conn_id,
    }

    @task_group
    def push_flow(flow: Any, window: Any) -> None:
        """Guard, push, guard and consolidate one flow's batch."""
        batch: dict[str, Any] = {"flow": flow, "window": window, "map_index_template": "{{ task.flow }}"}
        guard = PushGuardOperator(
            task_id="guard_before",
            size_overrule_reason="{{ params.size_overrule_reason or '' }}",
            **batch,
            **connections,
        )
        push = HiveToMySqlStreamOperator(task_id="push", **batch, **connections)
        truncate = GuardedTruncateOperator(task_id="truncate", **batch, **connections)
        consolidate = EvidenceConsolidateOperator(
            task_id="consolidate",
            mysql_conn_id=settings.governance_mysql_conn_id,
            outlets=[Asset("rsp_datagovern.ads_evt_ops_status_ago")],
            **batch,
        )
        guard >> push >> truncate >> consolidate

    plan = PushPlanOperator(task_id="plan", due=DUE)
    pushed = EvidencePushedOperator(
        task_id="pushed",
        flows=scheduled_flows(points_config()),
        mysql_conn_id=settings.governance_mysql_conn_id,
        pool="default_pool",  # it only reads: a day that is there is not late because a writer holds the slot
        trigger_rule="none_failed_min_one_success",  # what was pushed before is skipped; the plan is a success
        on_success_callback=[report_success, report_delivery],
    )
    [plan, push_flow.expand_kwargs(plan.output)] >> pushed
