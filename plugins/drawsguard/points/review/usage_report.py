"""Make the usage report of an environment: check the evidence, classify every live point, and lay out the review."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from drawsguard.points import definitions
from drawsguard.points.database import fetch, stream
from drawsguard.points.policy import DownlinePolicy
from drawsguard.points.review.candidate import HEADERS, evidence_cells
from drawsguard.points.review.classify import Candidate, classify
from drawsguard.points.review.evidence import EvidenceRefusedError, Window, check_age, check_days, check_readable
from drawsguard.points.review.usage import UsageIndex
from drawsguard.points.review.workbook import ReviewRow
from drawsguard.points.sheets import pasted_line
from drawsguard.points.telemetry.config import PointsConfig
from drawsguard.points.telemetry.oper_type import parser


@dataclass(frozen=True)
class Report:
    """A usage report: the candidates as review rows, and what else a reader should know."""

    evidence_batch: str
    window: Window
    rows: list[ReviewRow]
    others: Counter[str]
    undefined_tags: list[int]
    unknown_samples: list[str]
    left_alone: dict[str, str]

    def notes(self) -> dict[str, Any]:
        """Return the summary's extra lines: bilingual label → value."""
        notes: dict[str, Any] = {
            "证据批次 evidence batch": self.evidence_batch,
            "候选积分 candidates": len(self.rows),
        }
        notes |= {f"非候选 not a candidate: {reason}": number for reason, number in sorted(self.others.items())}
        if self.undefined_tags:
            notes["有使用但未定义的积分域 tags used but not defined"] = ", ".join(map(str, self.undefined_tags[:20]))
        if self.unknown_samples:
            notes["无法识别的指标 unreadable metrics"] = ", ".join(self.unknown_samples)
        if self.left_alone:
            notes["不作为定义表 tables left alone"] = "; ".join(
                f"{name} {why}" for name, why in self.left_alone.items()
            )
        return notes


def make_report(
    governance: Any,
    environment: Any,
    members: Mapping[int, Iterable[int]],
    rules: DownlinePolicy,
    config: PointsConfig,
    today: date,
    evidence_batch: str | None,
) -> Report:
    """Classify the live points of an environment by one evidence batch.

    :param governance: a prepared connection to rsp_datagovern.
    :param environment: a prepared connection to the environment.
    :param members: points of each tag, in either environment: use through any environment's tag is use.
    :param today: the business day.
    :param evidence_batch: a batch of the window flow; None for the newest.
    :raises EvidenceRefusedError: when the evidence is missing, incomplete, unreadable or stale.
    """
    found = fetch(governance, "review/newest_evidence.sql", {"evidence_batch": evidence_batch})
    if not found:
        raise EvidenceRefusedError(
            f"There is no usage evidence {evidence_batch or 'of the window flow'}: run points_hive_aggregation and "
            "points_push, then run the report again."
        )
    ((batch_id, first, last),) = found
    window = Window(first, last)
    check_age(window.last, today, rules.evidence)
    days = dict(fetch(governance, "review/evidence_days.sql", {"evidence_batch": batch_id}))
    check_days(days, window, config.quality)
    usage = UsageIndex(parser(config.oper_type_pattern), window.start)
    usage.add(stream(governance, "review/usage_of_batch.sql", {"evidence_batch": batch_id}))
    check_readable(usage.unknown, rules.evidence)
    undefined = usage.spread_tags(members)
    outcome = classify(definitions.live_definitions(environment), usage, rules.selection, window.start)
    left_alone = definitions.tables_left_alone(environment)
    environment.rollback()
    governance.rollback()
    rows = [ReviewRow(candidate.point_class, evidence_cells(candidate)) for candidate in _consumed(outcome.candidates)]
    return Report(batch_id, window, rows, outcome.others, undefined, usage.unknown.samples, left_alone)


def _consumed(candidates: list[Candidate]) -> Iterator[Candidate]:
    """Yield the candidates in order and release each after use: a large report holds them in one form only."""
    candidates.reverse()
    while candidates:
        yield candidates.pop()


def tab_separated(rows: Sequence[ReviewRow]) -> Iterator[str]:
    """Yield the candidates as lines of tab-separated text that can be pasted into a spreadsheet."""
    yield pasted_line(["类 class", *HEADERS])
    for row in rows:
        yield pasted_line([row.point_class.label, *row.cells])
