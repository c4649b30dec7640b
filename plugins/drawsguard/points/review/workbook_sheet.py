"""One sheet of an .xlsx file: its rows as a spreadsheet program shows them, and what is beside them."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import NamedTuple

from openpyxl.utils import column_index_from_string, get_column_letter

from drawsguard.points.review.workbook_package import COPY_AGAIN, SAVE_AS, WorkbookFileError
from drawsguard.points.review.workbook_styles import MAIN, NUMBER, as_float, as_number, unlike_run
from drawsguard.points.sheets import unescape_text

_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})", re.ASCII)
_ROW = re.compile(r"[1-9]\d{0,6}", re.ASCII)
#: Characters of the texts of one row, or of one shared text; a cell of the format holds 32,767.
MOST_TEXT = 4 << 20
#: How many merged cells and other hindrances of a sheet are kept; one is enough for a refusal.
_MOST_NOTED = 1_000
#: Below this (points, or characters of a column) nobody reads anything.
_SMALLEST = 3.0
_SMALLEST_COLUMN = 0.5


class Cell(NamedTuple):
    """A cell that holds something. ``kind``: number, text, bool, error, date, formula. ``unlike``: why it is shown
    otherwise than it is (empty: it is not)."""

    value: int | float | str | bool
    kind: str
    unlike: str


class Row(NamedTuple):
    """A row: its number, whether nobody sees it, and its cells by column (from 1)."""

    number: int
    hidden: bool
    cells: dict[int, Cell]


@dataclass
class Sheet:
    """A sheet; what is beside its cells is complete once its rows were read."""

    name: str
    hidden: bool
    part: str
    is_table: bool
    merged: list[tuple[str, int]] = field(default_factory=list)
    #: Bit c is set when column c is hidden.
    hidden_columns: int = 0
    #: Reasons why cells may be covered or be shown otherwise, each with its cell where it has one.
    covered: list[str] = field(default_factory=list)


class Texts:
    """Collects the text of rich or plain strings below one element: its runs, without phonetic hints."""

    def __init__(self, element: str, depth: int) -> None:
        self._element, self._depth = element, depth
        self._path: list[str] = []
        self._inside = self._collecting = False
        self._pieces: list[str] = []
        self.length = 0
        #: Why a part of the text is shown otherwise than it is; empty: none is.
        self.unlike = ""

    def start(self, tag: str, attributes: dict[str, str], depth: int) -> None:
        if not self._inside:
            self._inside = tag == self._element and depth == self._depth
            return
        del self._path[depth - self._depth - 1 :]
        self._path.append(tag)
        self._collecting = tag == f"{MAIN} t" and self._path in ([tag], [f"{MAIN} r", tag])
        if self._path == [f"{MAIN} r", f"{MAIN} rPr", tag]:
            self.unlike = self.unlike or unlike_run(tag.removeprefix(f"{MAIN} "), attributes)

    def text(self, piece: str) -> None:
        if self._collecting:
            self._pieces.append(piece)
            self.length += len(piece)

    def end(self, tag: str, depth: int) -> bool:
        """Return whether the string has ended."""
        self._collecting = False
        if not (self._inside and tag == self._element and depth == self._depth):
            return False
        self._inside, self._path = False, []
        return True

    def take(self) -> str:
        text = "".join(self._pieces)
        self._pieces, self.length, self.unlike = [], 0, ""
        return unescape_text(text)


class SheetReader:
    """Reads the rows of one sheet from its elements, and notes what is beside them."""

    def __init__(self, sheet: Sheet, strings: list[str], runs: dict[int, str], styles: list[str]) -> None:
        self._sheet, self._strings, self._runs, self._styles = sheet, strings, runs, styles
        self._section = ""
        self._has_data = False
        self._done: list[Row] = []
        self._row: Row | None = None
        self._last_row = self._column = self._columns = self._length = 0
        self._attributes: dict[str, str] = {}
        self._parts: set[str] = set()
        self._collecting = False
        self._pieces: list[str] = []
        self._texts = Texts(f"{MAIN} is", 5)
        self._rows_hidden = False
        self._first_seen = "A1"

    def taken(self) -> list[Row]:
        """Return the rows that are complete, once."""
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: dict[str, str], depth: int) -> None:
        name = tag.removeprefix(f"{MAIN} ")
        if depth == 1:
            if name != "worksheet":
                raise self._refused("is no table")
        elif depth == 2:
            self._begin_section(name, attributes)
        elif self._section == "sheetData":
            self._begin_in_data(name, tag, attributes, depth)
        elif name in ("sheetData", "row", "cols", "mergeCells"):
            raise self._refused(f"holds {name} where no program expects it; {SAVE_AS}")
        elif self._section == "cols" and name == "col":
            self._note_column(attributes)
        elif self._section == "sheetViews":
            self._note_view(name, attributes)
        elif tag.endswith(" conditionalFormatting"):  # of a later version, among the extensions
            self._cover("conditional formatting may hide what cells hold; remove it")
        elif self._section == "mergeCells" and name == "mergeCell":
            if len(self._sheet.merged) >= _MOST_NOTED:
                return
            found = _REFERENCE.match(attributes.get("ref", ""))
            self._sheet.merged.append((found[1], int(found[2])) if found else ("?", 0))

    def _begin_section(self, name: str, attributes: dict[str, str]) -> None:
        self._section = name
        if name == "sheetData":
            if self._has_data:
                raise self._refused(f"holds its rows twice; {SAVE_AS}")
            self._has_data = True
        elif name == "sheetFormatPr":
            height, width = (as_float(attributes.get(f"default{what}")) for what in ("RowHeight", "ColWidth"))
            self._rows_hidden = _true(attributes.get("zeroHeight")) or (height is not None and height < _SMALLEST)
            if width is not None and width < _SMALLEST_COLUMN:
                self._cover("columns have no width of their own; show all columns")
        elif name == "conditionalFormatting":
            cells = attributes.get("sqref", "")[:40]
            self._cover(f"conditional formatting of {cells} may hide what cells hold; remove it")

    def _begin_in_data(self, name: str, tag: str, attributes: dict[str, str], depth: int) -> None:
        if depth == 3 and name == "row":
            self._begin_row(attributes)
        elif depth == 4 and name == "c":
            self._begin_cell(attributes)
        elif depth == 5 and name in ("f", "v", "is"):
            if name in self._parts:
                raise self._refused(f"row {self._last_row}: a cell with two values; {SAVE_AS}")
            self._parts.add(name)
            self._collecting = name == "v"
            self._texts.start(tag, attributes, depth)
        elif depth > 5 and name in ("sheetData", "row", "c", "v", "f", "cols", "mergeCells", "mergeCell"):
            raise self._refused(f"row {self._last_row}: {name} within a text; {SAVE_AS}")
        elif depth > 5 and "is" in self._parts:
            self._texts.start(tag, attributes, depth)
        elif depth > 5 and self._collecting:
            raise self._refused(f"row {self._last_row}: a value with a tag in it; {SAVE_AS}")
        elif name != "extLst" and depth < 6:
            raise self._refused(f"row {self._last_row}: {name[:60]!r} is no part of a row; {SAVE_AS}")

    def text(self, piece: str) -> None:
        self._length += len(piece)
        if self._length > MOST_TEXT:
            raise self._refused(f"row {self._last_row} has more than {MOST_TEXT} characters; {COPY_AGAIN}")
        if self._collecting:
            self._pieces.append(piece)
        else:
            self._texts.text(piece)

    def end(self, tag: str, depth: int) -> None:
        self._texts.end(tag, depth)
        if self._section != "sheetData":
            return
        if depth == 5:
            self._collecting = False
        elif depth == 4:
            self._end_cell()
        elif depth == 3 and self._row is not None:
            self._done.append(self._row)
            self._row = None

    def _begin_row(self, attributes: dict[str, str]) -> None:
        text = attributes.get("r")
        if text is not None and not _ROW.fullmatch(text):
            raise self._refused(f"row number {text[:20]!r} after row {self._last_row} is none; {SAVE_AS}")
        number = self._last_row + 1 if text is None else int(text)
        if not self._last_row < number <= _LAST_ROW:
            raise self._refused(f"row number {number} after row {self._last_row} cannot be; {SAVE_AS}")
        height = as_float(attributes.get("ht"))
        hidden = _true(attributes.get("hidden")) or (self._rows_hidden if height is None else height < _SMALLEST)
        self._last_row, self._column, self._length = number, 0, 0
        self._row = Row(number, hidden, {})

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        column = self._column + 1
        if reference is not None:
            found = _REFERENCE.fullmatch(reference)
            if not found or int(found[2]) != self._last_row:
                raise self._refused(f"row {self._last_row}: the cell {reference[:20]!r} is not of this row; {SAVE_AS}")
            column = column_index_from_string(found[1])
        if not self._column < column <= _LAST_COLUMN:
            raise self._refused(f"row {self._last_row}: a cell is there twice, or out of order; {SAVE_AS}")
        self._column, self._attributes = column, attributes
        self._parts.clear()
        self._pieces.clear()

    def _end_cell(self) -> None:
        kind, parts = self._attributes.get("t", "n"), self._parts
        run = self._texts.unlike
        text, rich = "".join(self._pieces), self._texts.take()
        if "is" in parts and (kind != "inlineStr" or "v" in parts):
            raise self._refused_cell("is written in a way that programs read differently")
        value: int | float | str | bool
        if "f" in parts:
            value, kind = text, "formula"
        elif kind == "inlineStr":
            value, kind = rich, "text"
        elif kind == "s" and "v" in parts:
            if not (text.isascii() and text.isdigit() and len(text) < 9 and int(text) < len(self._strings)):
                raise self._refused_cell(f"names text {text[:20]!r}, which the workbook does not hold")
            value, kind, run = self._strings[int(text)], "text", self._runs.get(int(text), "")
        elif kind in ("str", "s"):
            value, kind = unescape_text(text), "text"
        elif not text:
            return
        elif kind == "n":
            value, kind = self._parsed_number(text), "number"
        elif kind == "b" and text in ("0", "1"):
            value, kind = text == "1", "bool"
        elif kind in ("e", "d"):
            value, kind = text, {"e": "error", "d": "date"}[kind]
        else:
            raise self._refused_cell(f"has type {kind[:20]!r} and value {text[:20]!r}, which do not fit")
        if value == "" and kind == "text":
            return
        if self._row is not None:
            self._row.cells[self._column] = Cell(value, kind, self._unlike() or run)

    def _parsed_number(self, text: str) -> int | float:
        if not NUMBER.fullmatch(text) or len(text) > 40:
            raise self._refused_cell(f"holds {text[:40]!r}, which is no number")
        number = float(text)
        if number in (float("inf"), float("-inf")):
            raise self._refused_cell(f"holds {text[:40]!r}, which is no number that a cell can hold")
        # Some programs write 1 as 1.0 or 1E0.
        return int(number) if number.is_integer() and abs(number) < 2**53 else number

    def _unlike(self) -> str:
        style = self._attributes.get("s", "0")
        if style == "0" and not self._styles:
            return ""
        if not (style.isascii() and style.isdigit() and len(style) < 7 and int(style) < len(self._styles)):
            raise self._refused_cell(f"names style {style[:20]!r}, which the workbook does not hold")
        return self._styles[int(style)]

    def _note_column(self, attributes: dict[str, str]) -> None:
        self._columns += 1
        if self._columns > _LAST_COLUMN:
            raise self._refused(f"describes more than {_LAST_COLUMN} columns; {SAVE_AS}")
        first, last = as_number(attributes.get("min")), min(as_number(attributes.get("max")), _LAST_COLUMN)
        width = as_float(attributes.get("width"))
        if _true(attributes.get("hidden")) or (width is not None and width < _SMALLEST_COLUMN):
            self._sheet.hidden_columns |= max(0, (1 << last + 1) - (1 << first))

    def _note_view(self, name: str, attributes: dict[str, str]) -> None:
        if name == "sheetView":
            self._first_seen = attributes.get("topLeftCell", "A1")
        elif name == "pane" and attributes.get("state", "").startswith("frozen") and self._first_seen != "A1":
            self._cover(f"panes are frozen at {self._first_seen[:20]}, what is before it cannot be seen; unfreeze them")

    def _cover(self, reason: str) -> None:
        if len(self._sheet.covered) < _MOST_NOTED:
            self._sheet.covered.append(reason)

    def _refused(self, reason: str) -> WorkbookFileError:
        return WorkbookFileError(f"part {self._sheet.part} (sheet {self._sheet.name[:50]}): {reason}")

    def _refused_cell(self, reason: str) -> WorkbookFileError:
        cell = f"{get_column_letter(self._column)}{self._last_row}"
        return self._refused(f"cell {cell} {reason}; {COPY_AGAIN}")


def _true(text: str | None) -> bool:
    return text in ("1", "true")
