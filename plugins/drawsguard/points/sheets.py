"""Sheets of the workbooks: fonts, headers, frozen panes, filters, pages, and text that is never a formula."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

from openpyxl import Workbook
from openpyxl.cell import WriteOnlyCell
from openpyxl.cell.cell import ILLEGAL_CHARACTERS_RE
from openpyxl.styles import Alignment, Font, PatternFill
from openpyxl.utils import get_column_letter
from openpyxl.worksheet.properties import PageSetupProperties

Column = tuple[str, int]

#: A font without a name is drawn in a font that the program chooses, next to cells in the default font.
_FONT = "Calibri"
BOLD = Font(name=_FONT, bold=True)
TITLE = Font(name=_FONT, bold=True, size=16, color="1F4E78")
HEADER_FONT = Font(name=_FONT, bold=True, color="FFFFFF")
HEADER_FILL = PatternFill("solid", start_color="1F4E78")
HEADER_ALIGNMENT = Alignment(wrap_text=True, vertical="center")
#: Two lines: programs do not grow a row automatically for text that wraps (points).
HEADER_HEIGHT = 32

#: Maximum number of characters in a cell of the format.
_CELL_LIMIT = 32767


def cell_text(value: object) -> str:
    """Return ``value`` as one line that survives a round trip through a spreadsheet program unchanged."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.strftime("%Y-%m-%d %H:%M:%S")
    return re.sub(r"\s+", " ", ILLEGAL_CHARACTERS_RE.sub("", str(value))).strip()[:_CELL_LIMIT]


def add_table(
    workbook: Workbook,
    title: str,
    notes: Sequence[Sequence[Any]],
    columns: Sequence[Column],
    rows: Iterable[Sequence[Any]],
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
    set_page(sheet, header_row)
    sheet.freeze_panes = f"A{header_row + 1}"
    sheet.auto_filter.ref = f"A{header_row}:{get_column_letter(len(columns))}{header_row + len(rows)}"
    for note in notes:
        sheet.append([text_cell(sheet, value, bold=position == 0) for position, value in enumerate(note)])
    sheet.append([_header(sheet, header) for header, _ in columns])
    for row in rows:
        sheet.append([text_cell(sheet, value) for value in row])
    return sheet


def set_page(sheet: Any, header_row: int | None = None) -> None:
    """Print a sheet in landscape, all columns on one page; ``header_row`` has two lines and is on every page."""
    sheet.page_setup.orientation = "landscape"
    sheet.sheet_properties.pageSetUpPr = PageSetupProperties(fitToPage=True)
    sheet.page_setup.fitToHeight = 0
    if header_row:
        sheet.row_dimensions[header_row].height = HEADER_HEIGHT
        sheet.print_title_rows = f"{header_row}:{header_row}"


def sheet_name(title: str) -> str:
    """Return ``title`` as a name that Excel allows: 31 characters, none of ``[]:*?/\\``."""
    return re.sub(r"[\[\]:*?/\\]", "-", title)[:31]


def text_cell(sheet: Any, value: Any, *, bold: bool = False) -> Any:
    """Return a cell; text never becomes a formula, whatever it starts with."""
    if not isinstance(value, str):
        return value
    cell = WriteOnlyCell(sheet, cell_text(value) or None)
    if cell.value is not None:
        cell.data_type = "s"
    if bold:
        cell.font = BOLD
    return cell


def _header(sheet: Any, text: str) -> Any:
    cell = WriteOnlyCell(sheet, text)
    cell.font, cell.fill, cell.alignment = HEADER_FONT, HEADER_FILL, HEADER_ALIGNMENT
    return cell
