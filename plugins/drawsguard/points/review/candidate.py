"""The review workbook's layout and its row digests, shared by the writer and the reader.

The first columns are evidence: written once, protected, and bound by one digest per row. The last three are for people.
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import StrEnum

from drawsguard.points.digest import digest_of
from drawsguard.points.review.classify import Candidate, PointClass
from drawsguard.points.sheets import cell_text

#: Evidence columns: header and width (characters).
EVIDENCE_COLUMNS: tuple[tuple[str, int], ...] = (
    ("积分 id", 12),
    ("集群 cluster", 16),
    ("表 table", 26),
    ("模型 modeltype", 14),
    ("负责人 people", 18),
    ("一级 lv1", 14),
    ("二级 lv2", 14),
    ("描述 description", 40),
    ("需求 demand", 20),
    ("状态 status", 10),
    ("查询次数 queries", 14),
    ("最近单独查询 last query", 20),
    ("最近按域查询 last query by tag", 20),
    ("更新次数 updates", 14),
    ("最近单独更新 last update", 20),
    ("最近按域更新 last update by tag", 20),
    ("最后修改 last_modify_time (UTC)", 22),
    ("创建时间 created_time", 20),
)
DECISION_COLUMNS: tuple[tuple[str, int], ...] = (("决定 decision", 16), ("审核人 reviewer", 16), ("备注 remark", 30))
HEADERS = [header for header, _ in EVIDENCE_COLUMNS + DECISION_COLUMNS]

SUMMARY_SHEET = "汇总 summary"
BATCH_LABEL = "批次 batch"
DIGEST_LABEL = "摘要 digest"
#: Row 1 of each class sheet names batch and digest, row 2 holds the headers.
FIRST_DATA_ROW = 3


class Decision(StrEnum):
    """What a reviewer may decide on a candidate; an empty cell means keep."""

    DOWNLINE = "downline"
    KEEP = "keep"

    @property
    def label(self) -> str:
        """The drop-down's text."""
        return {"downline": "下线 downline", "keep": "保留 keep"}[self]


#: Every spelling of a decision that a cell may hold.
DECISIONS = {text: decision for decision in Decision for text in (decision.label, *decision.label.split())}

EvidenceCell = int | str


def evidence_cells(candidate: Candidate) -> list[EvidenceCell]:
    """Return the evidence cells of a candidate's row: integers, and text without line breaks."""
    definition, usage = candidate.definition, candidate.usage
    return [
        definition.point_id,
        cell_text(definition.cluster),
        cell_text(definition.table),
        cell_text(definition.modeltype),
        cell_text(definition.people),
        cell_text(definition.lv1),
        cell_text(definition.lv2),
        cell_text(definition.description),
        cell_text(definition.demand),
        definition.status,
        usage.queries,
        cell_text(usage.last_query),
        cell_text(usage.last_query_by_tag),
        usage.updates,
        cell_text(usage.last_update),
        cell_text(usage.last_update_by_tag),
        cell_text(definition.last_modify_time),
        cell_text(definition.created_time),
    ]


def row_digest(point_class: PointClass, cells: Sequence[EvidenceCell | float]) -> str:
    """Return the digest of one evidence row; a row moved to another class's sheet no longer has it."""
    return digest_of([str(point_class), *cells])


def candidate_digest(batch_id: str, row_digests: Sequence[tuple[int, str]]) -> str:
    """Return the digest of a batch's whole candidate set, whatever the order of its (point id, row digest) pairs."""
    return digest_of([batch_id, *(list(pair) for pair in sorted(row_digests))])
