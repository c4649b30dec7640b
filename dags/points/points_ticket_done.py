"""A failure means that the ticket was not closed: it is not the DBA's, not open, or its points must not be cleaned now.

**Who runs it**: the DBA, or a member of the points team to whom the DBA confirmed it, when the commands of a ticket
that was handed over (workbook 清理积分) were run and checked. *close* records who confirmed it and the
note in the audit; *report* writes and mails the result report 积分清理结果 of the batch again, with the ticket as done.
Nothing is deleted here. *halted*, *not due*, *may not be cleaned*: use was found, or a point came back, since the
ticket was handed over; the refusal and the note are in the audit. What the DBA deleted is gone: tell the points team.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG

from dag_params.text import SEVERAL_LINES, text_param
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.cleanup.cleanup_report_operator import CleanupReportOperator
from operators.points.cleanup.dba_ticket_operator import DbaTicketDoneOperator

settings = get_settings()

with DAG(
    dag_id="points_ticket_done",
    description="Close a cleanup ticket that the DBA has executed, and report the batch again",
    doc_md=__doc__,
    schedule=None,
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "points"],
    default_args=task_defaults(settings.points_owner, pool="points_cleanup", execution_timeout=timedelta(minutes=10)),
    params={
        "ticket_id": text_param(
            "工单号，见工单表。Ticket id, from the workbook: batch/cluster/class[/number].", shortest=5, longest=160
        ),
        "note": text_param(
            "删除了什么、如何核对。What was deleted, and how that was checked.",
            shortest=5,
            longest=1000,
            pattern=SEVERAL_LINES,
        ),
    },
):
    close = DbaTicketDoneOperator(task_id="close", ticket_id="{{ params.ticket_id }}", note="{{ params.note }}")
    close >> CleanupReportOperator(task_id="report", batch_id="{{ ti.xcom_pull(task_ids='close') }}")
