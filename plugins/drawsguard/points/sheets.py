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

#: Maximum number of characters in a cell of the format, each of at most 16 bits.
_CELL_LIMIT = 32767
#: What XML cannot carry beside the control characters; and what reorders the text that follows.
_NO_TEXT = re.compile("[\ud800-\udfff\ufffe\uffff\u202a-\u202e\u2066-\u2069]")
#: A character by its number, as the format writes what XML cannot carry (ECMA-376 part 1, 22.9.2.19).
_ESCAPED = re.compile(r"_x([0-9A-Fa-f]{4})_")
_READS_ESCAPED = re.compile(r"_(?=x[0-9A-Fa-f]{4}_)")
#: What a spreadsheet program takes for the beginning of a formula, in letters of either width; and blanks before it.
_FORMULA = re.compile(r"[\s\u200b-\u200f\u2060\ufeff]*[=+\-@\uff1d\uff0b\uff0d\uff20\u2212]")


def cell_text(value: object) -> str:
    """Return ``value`` as one line that survives a round trip through a spreadsheet program unchanged."""
    if value is None:
        return ""
    if isinstance(value, datetime):
        return value.replace(tzinfo=None).isoformat(" ", "seconds")  # strftime has no 0 before a year such as 0001
    text = re.sub(r"\s+", " ", _NO_TEXT.sub("", ILLEGAL_CHARACTERS_RE.sub("", str(value)))).strip()
    if len(text) * 2 > _CELL_LIMIT:
        text = text.encode("utf-16-le")[: _CELL_LIMIT * 2].decode("utf-16-le", "ignore").strip()
    return text


def escape_text(text: str) -> str:
    """Return text as the file holds it: what reads like an escaped character (``_x000D_``) stays those characters."""
    return _READS_ESCAPED.sub("_x005F_", text)


def unescape_text(text: str) -> str:
    """Return text as a spreadsheet program shows it; an escape that stands for no character stays as it is."""

    def character(found: re.Match[str]) -> str:
        number = int(found[1], 16)
        return found[0] if 0xD800 <= number <= 0xDFFF else chr(number)

    return _ESCAPED.sub(character, text)


def reads_as_formula(text: str) -> bool:
    """Return whether a spreadsheet program could take text that is typed or pasted for a formula."""
    return _FORMULA.match(text) is not None


def pasted_line(values: Iterable[object]) -> str:
    """Return values as one line of tab-separated text that can be pasted: none leaves its cell or becomes a formula."""
    return "\t".join(map(pasted_cell, values))


def pasted_cell(value: object) -> str:
    """Return a value as one cell of text for a spreadsheet, where it is no formula."""
    if isinstance(value, (int, float)):
        return str(value)
    text = cell_text(value)
    # What begins with a quote is read up to the next quote: a formula within, or the cells that follow.
    return f"'{text}" if reads_as_formula(text) or text.startswith('"') else text


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
    """Return ``title`` as a name that Excel allows: 31 characters, none of ``[]:*?/\\``, no quote at either end."""
    name = re.sub(r"[\[\]:*?/\\]", "-", cell_text(title))[:31]
    return re.sub("^'|'$", "-", name) or "-"


def text_cell(sheet: Any, value: Any, *, bold: bool = False) -> Any:
    """Return a cell; text never becomes a formula, whatever it starts with, not even when somebody edits the cell."""
    if not isinstance(value, str):
        return value
    text = cell_text(value)
    cell = WriteOnlyCell(sheet, escape_text(text) or None)
    if text:
        cell.data_type = "s"
        cell.quotePrefix = reads_as_formula(text)
    if bold:
        cell.font = BOLD
    return cell


def _header(sheet: Any, text: str) -> Any:
    cell = text_cell(sheet, text)
    cell.font, cell.fill, cell.alignment = HEADER_FONT, HEADER_FILL, HEADER_ALIGNMENT
    return cell
