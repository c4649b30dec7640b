"""Write the ticket workbook 清理积分-<time>.xlsx: a sheet per cluster and class, and the points without a ticket."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from pathlib import Path

from openpyxl import Workbook

from drawsguard.points.cleanup.commands import cleanup_command
from drawsguard.points.cleanup.estimate import Estimate
from drawsguard.points.cleanup.ticket import Ticket, TicketPlan
from drawsguard.points.sheets import add_table, cell_text

EXECUTORS = {"own": "自助工单 pipeline", "dba": "交由 DBA"}

_SUMMARY = (
    ("工单 ticket", 44),
    ("集群 cluster", 18),
    ("类别 class", 24),
    ("执行 executor", 22),
    ("积分数 points", 14),
    ("估计键数 keys (estimate)", 22),
    ("估计内存 bytes (estimate)", 22),
    ("实例 instances", 36),
    ("摘要 digest", 68),
)
_TICKET = (
    ("积分 id", 12),
    ("类型 type", 10),
    ("key 模板 template", 36),
    ("key 匹配式 pattern", 36),
    ("key 正则 regex", 36),
    ("field 模板 template", 28),
    ("field 匹配式 pattern", 28),
    ("field 正则 regex", 28),
    ("估计键数 keys (estimate)", 16),
    ("估计内存 bytes (estimate)", 16),
    ("命令 command", 120),
)
_UNTICKETED = (("积分 id", 12), ("集群 cluster", 18), ("原因 reason", 120))


def workbook_name(moment: datetime) -> str:
    """Return the workbook's name, e.g. ``清理积分-20240902-1004.xlsx``."""
    return f"清理积分-{moment:%Y%m%d-%H%M}.xlsx"


def write_tickets(path: Path, batch_id: str, plan: TicketPlan, estimates: Mapping[int, Estimate]) -> None:
    """Write the workbook of a batch's tickets.

    :param path: where to; folders are made.
    :param batch_id: the batch.
    :param plan: its tickets.
    :param estimates: keys and memory by eid, where known.
    """
    workbook = Workbook(write_only=True)
    workbook.properties.title = cell_text(f"清理积分 points cleanup {batch_id}")
    notes = [
        ["批次 batch", batch_id],
        ["自助工单经他人审批后由 points_cleanup 执行;交由 DBA 的工单请按命令列执行。"],
        ["points_cleanup executes the pipeline's tickets once another person approves; the DBA runs the commands."],
        [],
    ]
    add_table(workbook, "汇总 summary", notes, _SUMMARY, [_summary_row(ticket, estimates) for ticket in plan.tickets])
    for ticket in plan.tickets:
        _add_ticket(workbook, ticket, estimates)
    rows = [(point.eid, point.cluster, point.reason) for point in plan.unticketed]
    add_table(workbook, "未开单 no ticket", [], _UNTICKETED, rows)
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)


def _summary_row(ticket: Ticket, estimates: Mapping[int, Estimate]) -> list[str | int | None]:
    known = [estimates[structure.eid] for structure in ticket.structures if structure.eid in estimates]
    return [
        ticket.ticket_id,
        ticket.cluster,
        ticket.rule.label,
        EXECUTORS[ticket.executor],
        len(ticket.structures),
        sum(estimate.keys for estimate in known) if known else None,
        sum(estimate.size for estimate in known) if known else None,
        ", ".join(ticket.instances),
        ticket.digest,
    ]


def _add_ticket(workbook: Workbook, ticket: Ticket, estimates: Mapping[int, Estimate]) -> None:
    notes = [
        ["工单 ticket", ticket.ticket_id],
        ["执行 executor", EXECUTORS[ticket.executor]],
        ["实例 instances", ", ".join(ticket.instances)],
        ["摘要 digest", ticket.digest],
    ]
    rows = []
    for structure in ticket.structures:
        estimate = estimates.get(structure.eid)
        field = structure.field
        rows.append(
            [
                structure.eid,
                structure.redis_type,
                structure.key.text,
                structure.key.glob.decode(),
                structure.key.extended_regex,
                field.text if field else "",
                field.glob.decode() if field else "",
                field.extended_regex if field else "",
                estimate.keys if estimate else None,
                estimate.size if estimate else None,
                cleanup_command(structure, ticket.instances),
            ]
        )
    add_table(workbook, f"{ticket.cluster}-{ticket.rule.label}", notes, _TICKET, rows)
