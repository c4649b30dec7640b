"""Write the review workbook: a summary with a chart, and a sheet for each class.

Rows are streamed to disk, so memory does not grow with them.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.chart import BarChart, Reference
from openpyxl.styles import PatternFill, Protection
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.datavalidation import DataValidation

from drawsguard.points.review.candidate import (
    BATCH_LABEL,
    DECISION_COLUMNS,
    DIGEST_LABEL,
    EVIDENCE_COLUMNS,
    FIRST_DATA_ROW,
    HEADERS,
    SUMMARY_SHEET,
    Decision,
    EvidenceCell,
)
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.evidence import Window
from drawsguard.points.sheets import (
    HEADER_ALIGNMENT,
    HEADER_FILL,
    HEADER_FONT,
    TITLE,
    cell_text,
    reads_as_formula,
    set_page,
    text_cell,
)

#: Last row of a sheet in the format.
_LAST_ROW = 1_048_576

_DECISION_FILL = PatternFill("solid", start_color="C55A11")
_EDITABLE_FILL = PatternFill("solid", start_color="FFF2CC")

CLUSTER, TABLE = 1, 2  # positions in the evidence cells


@dataclass(frozen=True)
class ReviewRow:
    """One candidate as the workbook shows it: class, and the evidence cells (see `review.evidence_cells`)."""

    point_class: PointClass
    cells: Sequence[EvidenceCell]


@dataclass(frozen=True)
class ReviewHead:
    """What the summary says about the batch. ``notes`` are bilingual label → value lines."""

    batch_id: str
    digest: str
    environment: str
    window: Window
    notes: Mapping[str, Any]


def count_rows(rows: Iterable[ReviewRow], column: int) -> dict[str, Counter[PointClass]]:
    """Return, for each value of an evidence column, the number of rows of each class."""
    counts: dict[str, Counter[PointClass]] = {}
    for row in rows:
        counts.setdefault(str(row.cells[column]), Counter())[row.point_class] += 1
    return dict(sorted(counts.items()))


def write_review(path: Path, head: ReviewHead, rows: Sequence[ReviewRow]) -> None:
    """Write the review workbook of a batch.

    :param rows: candidates in the order in which the sheets show them.
    :raises ValueError: when a class has more rows than a sheet can hold.
    """
    workbook = Workbook(write_only=True)
    workbook.properties.title = cell_text(f"积分下线审核 points review {head.batch_id}")
    _write_summary(workbook, head, rows)
    for point_class in PointClass:
        _write_class(workbook, head, point_class, [row.cells for row in rows if row.point_class is point_class])
    path.parent.mkdir(parents=True, exist_ok=True)
    workbook.save(path)


def _write_summary(workbook: Workbook, head: ReviewHead, rows: Sequence[ReviewRow]) -> None:
    sheet = workbook.create_sheet(SUMMARY_SHEET)
    set_page(sheet)
    sheet.column_dimensions["A"].width = 44
    for column in "BCDE":
        sheet.column_dimensions[column].width = 20
    sheet.protection.enable()
    lines = [
        ["积分下线审核 points downline review"],
        [BATCH_LABEL, head.batch_id],
        [DIGEST_LABEL, head.digest],
        ["环境 environment", head.environment],
        ["统计窗口 window", f"{head.window.first} – {head.window.last}"],
        *[[label, value] for label, value in head.notes.items()],
        ["填写说明:只填最后三列;每个要下线的积分必须有审核人;空白即保留;不要删除行。"],
        ["How to: fill the last three columns only; every downline needs a reviewer; blank means keep; delete no row."],
        [],
    ]
    for number, line in enumerate(lines, 1):
        sheet.append(
            [text_cell(sheet, line[0], bold=True), *(text_cell(sheet, value) for value in line[1:])]
            if line and number != 1
            else [_title(sheet, line[0])]
            if line
            else []
        )
    position = len(lines) + 1
    for title, position_in_row, place in (("集群 cluster", CLUSTER, "G2"), ("表 table", TABLE, "G20")):
        counts = count_rows(rows, position_in_row)
        sheet.append([_header(sheet, text) for text in (title, *[c.label for c in PointClass], "合计 total")])
        for name, by_class in counts.items():
            sheet.append([text_cell(sheet, name), *[by_class[c] for c in PointClass], by_class.total()])
        total = sum((by_class for by_class in counts.values()), Counter[PointClass]())
        sheet.append([text_cell(sheet, "合计 total", bold=True), *[total[c] for c in PointClass], total.total()])
        sheet.append([])
        if counts:
            sheet.add_chart(_chart(sheet, title, position, len(counts)), place)
        position += len(counts) + 3


def _chart(sheet: Any, title: str, header_row: int, categories: int) -> BarChart:
    chart = BarChart()
    chart.type, chart.grouping, chart.overlap = "bar", "stacked", 100
    chart.title = f"候选积分 candidates · {title}"
    chart.width, chart.height = 22, 9
    # Newer spreadsheet programs hide axes unless told otherwise.
    chart.x_axis.delete = chart.y_axis.delete = False
    # A bar chart lists its categories from the bottom up: reversed, they follow the table's order.
    chart.x_axis.scaling.orientation, chart.y_axis.crosses = "maxMin", "max"
    chart.legend.position = "b"
    last = header_row + categories
    series = Reference(sheet, min_col=2, max_col=1 + len(PointClass), min_row=header_row, max_row=last)
    chart.add_data(series, titles_from_data=True)
    chart.set_categories(Reference(sheet, min_col=1, min_row=header_row + 1, max_row=last))
    return chart


def _write_class(
    workbook: Workbook, head: ReviewHead, point_class: PointClass, rows: Sequence[Sequence[EvidenceCell]]
) -> None:
    last_row = FIRST_DATA_ROW - 1 + len(rows)
    if last_row > _LAST_ROW:
        raise ValueError(
            f"Class {point_class.label} has {len(rows)} candidates, a sheet holds {_LAST_ROW - FIRST_DATA_ROW + 1}. "
            "Narrow the selection in include/config/downline.yaml (clusters, modeltypes) and run the report again."
        )
    sheet = workbook.create_sheet(point_class.label)
    set_page(sheet, FIRST_DATA_ROW - 1)
    for number, (_, width) in enumerate(EVIDENCE_COLUMNS + DECISION_COLUMNS, 1):
        dimension = sheet.column_dimensions[get_column_letter(number)]
        dimension.width = width
        if number > len(EVIDENCE_COLUMNS):
            # The cells below do not exist yet: they inherit their style, and the right to edit, from the column.
            dimension.protection = Protection(locked=False)
            dimension.fill = _EDITABLE_FILL
    decision, last = get_column_letter(len(EVIDENCE_COLUMNS) + 1), get_column_letter(len(HEADERS))
    sheet.freeze_panes = f"B{FIRST_DATA_ROW}"
    sheet.auto_filter.ref = f"A{FIRST_DATA_ROW - 1}:{last}{max(last_row, FIRST_DATA_ROW - 1)}"
    if rows:
        choices = DataValidation(
            type="list",
            formula1=f'"{",".join(choice.label for choice in Decision)}"',
            allow_blank=True,
            showErrorMessage=True,
            errorTitle="决定 decision",
            error="请从列表选择。Choose from the list.",
        )
        choices.add(f"{decision}{FIRST_DATA_ROW}:{decision}{last_row}")
        sheet.data_validations.append(choices)
    protection = sheet.protection
    protection.enable()
    # False means allowed: people may filter, sort and widen columns of a protected sheet.
    protection.autoFilter = protection.sort = protection.formatColumns = protection.formatRows = False
    sheet.append(
        [text_cell(sheet, text, bold=True) for text in (BATCH_LABEL, head.batch_id, DIGEST_LABEL, head.digest)]
    )
    sheet.append(
        [
            _header(sheet, header, _DECISION_FILL if number >= len(EVIDENCE_COLUMNS) else HEADER_FILL)
            for number, header in enumerate(HEADERS)
        ]
    )
    for cells in rows:
        sheet.append([_evidence(sheet, value) for value in cells])


def _evidence(sheet: Any, value: EvidenceCell) -> Any:
    """Return a cell of evidence; most text needs no cell object of its own, which costs time."""
    special = isinstance(value, str) and (value[:1] in ("", "#") or "_x" in value or reads_as_formula(value))
    return text_cell(sheet, value) if special else value


def _header(sheet: Any, text: str, fill: PatternFill = HEADER_FILL) -> Any:
    cell = WriteOnlyCell(sheet, text)
    cell.font, cell.fill, cell.alignment = HEADER_FONT, fill, HEADER_ALIGNMENT
    return cell


def _title(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, text)
    cell.font = TITLE
    return cell
