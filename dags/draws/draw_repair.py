"""A failure means that missing draws were found and could not all be repaired; the next run tries again by itself.

**Who runs it**: the schedule, every five minutes, for the whole history; people, also for a range (`from`, `to`). A run
that a person starts only reports, unless `dry_run` is switched off. **When it fails**: *unreachable* or *HTTP …*:
the feed could not be asked for draws that were never collected; the others are repaired. *still missing after their
MERGE*: something removes rows from the target. *differs from the source*: find out who else writes to the target.
*contradict the draws around them*: the feed's times are wrong, or stored ones (runbook data-conflict). Whatever fails
stops nothing else: the rest is repaired and recorded first.

It finds the exact periods that are missing, by the continuity of periods over source and target, and by source minus
target. It reads the hourly counts of `draws_hourly_mv` and compares draw by draw only the ranges of periods in which
something is wrong, so its cost does not grow with the tables. Times play no part: a draw may lie anywhere. Draws from
before the first draw of both tables are not known to be missing: read the feed's history of that time with
`draw_history`.

It reads the feed's history where the source lacks a draw, merges just those draws, verifies them, and records
detection, repair and the time between in `repair_log`. Draws that neither has are listed there and asked for again.
Several draws at once are an incident: its report is kept in `incident_reports` and mailed.
"""

from __future__ import annotations

from airflow.sdk import DAG, CronTriggerTimetable, Param

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.repair.draw_repair_operator import DrawRepairOperator

settings = get_settings()

with DAG(
    dag_id="draw_repair",
    description="Find missing draws and repair exactly those",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("1-59/5 * * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "draws", "repair"],
    default_args=task_defaults(settings.draws_owner),
    params={
        "from": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="检查范围的起点（含，须带时区），与 to 同时填写；不填则检查全部历史。"
            "Start of the range to check (inclusive, with time zone), with 'to'; without them the whole history.",
        ),
        "to": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="检查范围的终点（不含，须带时区）。End of the range to check (exclusive, with time zone).",
        ),
        "dry_run": Param(
            True,
            type="boolean",
            description="只报告缺失，不写入；定时运行不受此项影响。"
            "Only report what is missing, write nothing; scheduled runs repair regardless.",
        ),
    },
):
    DrawRepairOperator(task_id="repair", pool="draws_target")
