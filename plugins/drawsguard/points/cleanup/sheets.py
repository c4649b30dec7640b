"""Sheets of the cleanup workbooks: headers, frozen panes, filters, and text that stays text."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter

from drawsguard.points.review import cell_text

Column = tuple[str, int]

_HEADER_FONT = Font(bold=True, color="FFFFFF")
_HEADER_FILL = PatternFill("solid", start_color="1F4E78")


def add_table(
    workbook: Workbook, title: str, notes: Sequence[Sequence[Any]], columns: Sequence[Column], rows: Iterable[Sequence]
) -> Any:
    """Add a sheet: lines of notes, then a table with a frozen, filtered header. Returns the sheet.

    :param workbook: a write-only workbook.
    :param title: the sheet's name; what Excel does not allow in names is replaced.
    :param notes: lines above the table.
    :param columns: header and width of each column.
    :param rows: the table's rows.
    """
    sheet = workbook.create_sheet(sheet_name(title))
    for number, (_, width) in enumerate(columns, 1):
        sheet.column_dimensions[get_column_letter(number)].width = width
    rows = list(rows)
    header_row = len(notes) + 1
    sheet.freeze_panes = f"A{header_row + 1}"
    sheet.auto_filter.ref = f"A{header_row}:{get_column_letter(len(columns))}{header_row + len(rows)}"
    for note in notes:
        sheet.append([text_cell(sheet, value, bold=position == 0) for position, value in enumerate(note)])
    sheet.append([_header(sheet, header) for header, _ in columns])
    for row in rows:
        sheet.append([text_cell(sheet, value) for value in row])
    return sheet


def sheet_name(title: str) -> str:
    """Return ``title`` as a name that Excel allows: 31 characters, none of ``[]:*?/\\``."""
    return re.sub(r"[\[\]:*?/\\]", "-", title)[:31]


def text_cell(sheet: Any, value: Any, *, bold: bool = False) -> Any:
    """Return a cell; text never becomes a formula, whatever it begins with."""
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet, cell_text(value) or None)
    if cell.value is not None:
        cell.data_type = "s"
    if bold:
        cell.font = Font(bold=True)
    return cell


def _header(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, text)
    cell.font, cell.fill, cell.alignment = _HEADER_FONT, _HEADER_FILL, Alignment(wrap_text=True, vertical="center")
    return cell
