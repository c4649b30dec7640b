"""The result of a batch: tab-separated text, the result workbook, and the audit file."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook

from drawsguard.approvals.model import Event
from drawsguard.points.definitions import DOWNLINED
from drawsguard.points.downline.execution import verify_downline
from drawsguard.points.downline.journal import Entry, Journal
from drawsguard.points.downline.plan import Difference, Plan, count
from drawsguard.points.downline.planner import Connect
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.environments import Environment, environments
from drawsguard.points.review.batch_repository import Batch, StoredCandidate
from drawsguard.points.sheets import add_table, cell_text, pasted_line

_COUNT_COLUMNS = (("环境 environment", 18), ("类别 kind", 14), ("分组 group", 28), ("数量 number", 14))
_ROW_COLUMNS = (
    ("环境 environment", 18),
    ("类别 kind", 12),
    ("表 table", 28),
    ("id", 12),
    ("集群 cluster", 18),
    ("原状态 status before", 14),
    ("现状态 status after", 14),
    ("最后修改 last_modify_time (UTC)", 30),
    ("变更时间 changed at (UTC)", 30),
)
_DIFFERENCE_COLUMNS = (
    ("环境 environment", 18),
    ("类别 kind", 12),
    ("id", 12),
    ("表 table", 28),
    ("原因 reason", 90),
)


@dataclass(frozen=True)
class DownlineReport:
    """A batch from its candidates to its changed rows, in both environments."""

    batch: Batch
    candidates: list[StoredCandidate]
    entries: dict[Environment, list[Entry]]
    differences: dict[Environment, list[Difference]]
    removed: list[tuple[str, str, str, int]]
    approvals: list[dict[str, Any]]
    events: list[dict[str, Any]]

    @property
    def counts(self) -> dict[str, Any]:
        """Points and tags that are downlined in each environment: total, by cluster, by table."""
        return {
            name: count(entry.row for entry in entries if entry.state == "downlined")
            for name, entries in self.entries.items()
        }

    def lines(self) -> Iterator[str]:
        """Yield the result as lines of tab-separated text, per environment, cluster and table."""
        yield from map(pasted_line, self.numbers())

    def numbers(self) -> Iterator[tuple[str, str, str, int]]:
        """Yield the result as rows: environment, kind, cluster or table, number."""
        for name, counts in self.counts.items():
            yield from _numbers(name, counts)

    def audit(self) -> Iterator[dict[str, Any]]:
        """Yield the audit: the batch, its events and approvals, then every candidate from evidence to changed row."""
        yield {"batch": self.batch._asdict()}
        yield from ({"event": event} for event in self.events)
        yield from ({"approval": approval} for approval in self.approvals)
        rows: dict[int, list[dict[str, Any]]] = {}
        tags = []
        for name, entries in self.entries.items():
            for entry in entries:
                record = {"environment": name} | _history(entry)
                if entry.row.kind == "point":
                    rows.setdefault(entry.row.row_id, []).append(record)
                else:
                    tags.append(record | {"tag": entry.row.row_id})
        for candidate in self.candidates:
            yield {
                "candidate": candidate.point_id,
                "class": str(candidate.point_class),
                "evidence": candidate.evidence,
                "decision": candidate.decision,
                "reviewer": candidate.reviewer,
                "remark": candidate.remark,
                "rows": rows.get(candidate.point_id, []),
            }
        yield from ({"tag": tag.pop("tag"), "row": tag} for tag in tags)
        for name, differences in self.differences.items():
            yield from ({"difference": difference._asdict() | {"environment": name}} for difference in differences)
        yield from ({"taken_out": row} for row in self.removed)


def _history(entry: Entry) -> dict[str, Any]:
    before = {"status": entry.row.old_status, "last_modify_time": entry.row.last_modify_time}
    after = before | {"status": DOWNLINED if entry.state == "downlined" else entry.row.old_status}
    return {
        "table": entry.row.table,
        "identity": entry.row.identity,
        "before": before,
        "after": after,
        "state": entry.state,
        "changed_at": entry.changed_at,
        "restored_at": entry.restored_at,
    }


def downline_report(
    repositories: Repositories, connect: Connect, batch_id: str, approvals: Sequence[Event]
) -> DownlineReport:
    """Gather what is known of a batch.

    :param approvals: every question and answer about it, oldest first.
    """
    entries: dict[Environment, list[Entry]] = {}
    differences: dict[Environment, list[Difference]] = {}
    for name in environments():
        with connect(name) as connection:
            journal = Journal(connection, batch_id, name)
            entries[name] = journal.entries()
            back = verify_downline(connection, journal).back
        planned = repositories.plans.differences(batch_id, name, "downline")
        differences[name] = [*dict.fromkeys([*planned, *back])]
    return DownlineReport(
        batch=repositories.batches.get(batch_id),
        candidates=repositories.batches.candidates(batch_id),
        entries=entries,
        differences=differences,
        removed=[row[:4] for row in repositories.plans.rows_in_state(batch_id, "removed")],
        approvals=[_approval(event) for event in approvals],
        events=repositories.audit.events(batch_id),
    )


def _approval(event: Event) -> dict[str, Any]:
    """Return an event without the page's text, which says what the rows of the batch say."""
    kept = {key: value for key, value in vars(event).items() if key not in ("title", "body", "place")}
    return kept | vars(event.place)


def write_result(folder: Path, report: DownlineReport) -> tuple[Path, Path]:
    """Write result workbook and audit file (JSON lines) into a folder; returns their paths."""
    batch_id = report.batch.batch_id
    workbook, audit = folder / f"result-{batch_id}.xlsx", folder / f"audit-{batch_id}.jsonl"
    book = Workbook(write_only=True)
    add_table(book, "汇总 summary", [], _COUNT_COLUMNS, report.numbers())
    rows = []
    for name, entries in report.entries.items():
        for entry in entries:
            row, history = entry.row, _history(entry)
            after, changed = history["after"]["status"], cell_text(entry.restored_at or entry.changed_at)
            place = (name, row.kind, row.table, row.row_id, row.cluster)
            rows.append((*place, row.old_status, after, row.last_modify_time, changed))
    add_table(book, "明细 rows", [], _ROW_COLUMNS, rows)
    differences = [
        (environment, difference.kind, difference.row_id, difference.table, difference.reason)
        for environment, found in report.differences.items()
        for difference in found
    ]
    add_table(book, "差异 differences", [], _DIFFERENCE_COLUMNS, differences)
    book.save(workbook)
    with audit.open("w", encoding="utf-8") as file:
        for record in report.audit():
            file.write(json.dumps(record, ensure_ascii=False, default=str) + "\n")
    return workbook, audit


def plan_lines(plan: Plan) -> Iterator[str]:
    """Yield a plan as lines of tab-separated text: counts, differences, then every row."""
    yield from map(pasted_line, _numbers(plan.environment, plan.counts()))
    for difference in plan.differences:
        yield pasted_line(["差异 difference", difference.kind, difference.row_id, difference.table, difference.reason])
    for row in plan.rows:
        state = "done" if row in plan.done else "pending"
        yield pasted_line([row.kind, row.table, row.row_id, row.old_status, row.last_modify_time, state])


def _numbers(environment: str, counts: dict[str, Any]) -> Iterator[tuple[str, str, str, int]]:
    for kind, groups in counts.items():
        yield environment, kind, "合计 total", groups["total"]
        for group in ("by_cluster", "by_table"):
            for key, number in groups[group].items():
                yield environment, kind, key, number
