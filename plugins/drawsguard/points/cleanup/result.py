"""The result report 积分清理结果: what a batch's cleanup found, deleted and left, in Markdown and as a workbook."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from openpyxl import Workbook

from drawsguard.points.cleanup.ticket_repository import MemoryResult, PointResult, StoredTicket
from drawsguard.points.sheets import add_table, cell_text

STATES = {
    "open": "待审批 open",
    "handed_over": "已交 DBA handed over",
    "running": "执行中 running",
    "incomplete": "未完成 incomplete",
    "done": "已完成 done",
    "withdrawn": "已撤销 withdrawn",
}


@dataclass(frozen=True)
class ClusterResult:
    """The sums of one cluster. ``found``, ``deleted`` and ``left`` count keys, or fields where fields are deleted."""

    cluster: str
    points: int
    own: int
    dba: int
    without_ticket: int
    found: int
    deleted: int
    left: int
    wrong_type: int


@dataclass(frozen=True)
class CleanupResult:
    """Everything the report says about a batch.

    :param batch_id: the batch.
    :param tickets: its tickets.
    :param points: the outcome of each point.
    :param memory: memory of the instances around each ticket.
    """

    batch_id: str
    tickets: Sequence[StoredTicket]
    points: Sequence[PointResult]
    memory: Sequence[MemoryResult]

    @property
    def clusters(self) -> list[ClusterResult]:
        """The sums by cluster."""
        executors = {ticket.ticket_id: ticket.executor for ticket in self.tickets}
        by_cluster: dict[str, list[PointResult]] = defaultdict(list)
        for point in self.points:
            by_cluster[point.cluster].append(point)
        return [
            ClusterResult(
                cluster,
                len(points),
                sum(executors.get(point.ticket_id or "") == "own" for point in points),
                sum(executors.get(point.ticket_id or "") == "dba" for point in points),
                sum(point.ticket_id is None for point in points),
                sum(point.found for point in points),
                sum(point.deleted for point in points),
                sum(point.left for point in points),
                sum(point.wrong_type for point in points),
            )
            for cluster, points in sorted(by_cluster.items())
        ]

    @property
    def deleted(self) -> int:
        """Keys and fields deleted in all."""
        return sum(point.deleted for point in self.points)

    @property
    def left(self) -> int:
        """Keys and fields that still matched in the last confirming pass."""
        return sum(point.left for point in self.points)


_CLUSTERS = (
    ("集群 cluster", 18),
    ("积分数 points", 14),
    ("自助 own", 12),
    ("交 DBA", 12),
    ("未开单 no ticket", 16),
    ("找到 found", 14),
    ("删除 deleted", 14),
    ("剩余 left", 14),
    ("类型不符 wrong type", 20),
)
_TICKETS = (
    ("工单 ticket", 44),
    ("状态 state", 24),
    ("审批人 approved by", 20),
    ("开始 started (UTC)", 22),
    ("结束 finished (UTC)", 22),
    ("积分数 points", 14),
    ("摘要 digest", 68),
)
_POINTS = (
    ("积分 id", 12),
    ("集群 cluster", 18),
    ("工单 ticket", 44),
    ("未开单原因 reason", 60),
    ("估计键数 keys (estimate)", 16),
    ("估计内存 bytes (estimate)", 16),
    ("找到 found", 12),
    ("删除 deleted", 12),
    ("剩余 left", 12),
    ("类型不符 wrong type", 20),
    ("未确认删除 unconfirmed", 24),
)
_MEMORY = (
    ("工单 ticket", 44),
    ("实例 instance", 22),
    ("清理前 bytes before", 20),
    ("清理后 bytes after", 20),
    ("释放 bytes freed", 20),
)


def write_result(path: Path, result: CleanupResult) -> None:
    """Write the report's workbook."""
    workbook = Workbook(write_only=True)
    workbook.properties.title = cell_text(f"积分清理结果 cleanup result {result.batch_id}")
    clusters = [list(vars(cluster).values()) for cluster in result.clusters]
    add_table(workbook, "集群 clusters", [["批次 batch", result.batch_id], []], _CLUSTERS, clusters)
    tickets = [
        (t.ticket_id, STATES[t.state], t.approved_by, t.started_at, t.finished_at, t.points, t.digest)
        for t in result.tickets
    ]
    add_table(workbook, "工单 tickets", [], _TICKETS, tickets)
    add_table(workbook, "积分 points", [], _POINTS, [tuple(point) for point in result.points])
    memory = [
        (m.ticket_id, m.instance, m.before, m.after, None if m.after is None else m.before - m.after)
        for m in result.memory
    ]
    add_table(workbook, "内存 memory", [], _MEMORY, memory)
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)
