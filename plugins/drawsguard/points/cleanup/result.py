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

#: What became of a batch's cleanup so far (`CleanupResult.outcome`), the most urgent first.
OUTCOMES = {
    "left": "有剩余，需要复查 Some are left: to be looked at",
    "open": "尚未完成 Not finished",
    "split": "部分积分一边为 -80，另一边仍在服务 Some points are at -80 in one environment and served in the other",
    "waiting": "部分积分没有工单 Some points have no ticket",
    "ended": "已结束，部分积分不清理 Ended without some points",
    "complete": "正常完成 Completed",
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
    :param given_up: points that the batch will never clean.
    :param split: points without a ticket that are at -80 in one environment and served in another: once the batch is
        closed, nobody watches them.
    """

    batch_id: str
    tickets: Sequence[StoredTicket]
    points: Sequence[PointResult]
    memory: Sequence[MemoryResult]
    given_up: frozenset[int] = frozenset()
    split: frozenset[int] = frozenset()

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
        """Keys and fields that still matched in the last confirming pass; none where no such pass ran."""
        return sum(point.left for point in self.points)

    @property
    def unconfirmed(self) -> int:
        """Keys and fields that a killed sweep may have deleted."""
        return sum(point.unconfirmed for point in self.points)

    @property
    def cleaned(self) -> int:
        """Points whose tickets are done."""
        return sum(self._state(point) == "done" for point in self.points)

    @property
    def unfinished(self) -> list[StoredTicket]:
        """The tickets that are still to be done, and those that were withdrawn with points on them or are the DBA's."""
        on = {point.ticket_id for point in self.points}
        return [
            ticket
            for ticket in self.tickets
            if ticket.state != "done"
            and (ticket.state != "withdrawn" or ticket.executor == "dba" or ticket.ticket_id in on)
        ]

    @property
    def outcome(self) -> str:
        """What became of the batch so far: one of `OUTCOMES`. Complete is only what was cleaned, every point of it."""
        states = {point.point_id: self._state(point) for point in self.points}
        rest = {point for point, state in states.items() if state != "done"} - self.given_up
        counted = ("open", "running", "incomplete")  # by the next sweep of their ticket
        if self.left or any(p.unconfirmed and states[p.point_id] not in counted for p in self.points):
            return "left"
        if any(states[point] for point in rest) or any(t.state not in ("done", "withdrawn") for t in self.tickets):
            return "open"
        if self.split:
            return "split"
        if rest or not states:
            return "waiting"
        return "complete" if all(state == "done" for state in states.values()) else "ended"

    def _state(self, point: PointResult) -> str | None:
        """Return the state of a point's ticket; None when it has none."""
        return next((ticket.state for ticket in self.tickets if ticket.ticket_id == point.ticket_id), None)


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
