"""Read an .xlsx file that came from outside: streamed, within limits, and as a spreadsheet program shows it.

A damaged, foreign or hostile file ends in one `WorkbookFileError`, which names the part and says what to do. Formulas
and macros are never evaluated, external references never followed; declarations of document types (and so entities) are
refused. What programs read in different ways (doubled parts, rows out of order) is refused, too.
"""

from __future__ import annotations

import lzma
import posixpath
import re
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self
from xml.parsers import expat

from openpyxl.utils import column_index_from_string, get_column_letter

from drawsguard.points.sheets import unescape_text


@dataclass(frozen=True)
class Limits:
    """What a workbook may take. 60,000 candidates have 4 million elements, and take seconds and less than 100 MB."""

    file_bytes: int = 32 << 20
    parts: int = 1_000
    unpacked_bytes: int = 256 << 20
    #: Of a part that unpacks to more than a MiB.
    ratio: int = 400
    elements: int = 6_000_000
    depth: int = 64
    #: Of one tag, or of one cell's text.
    token_bytes: int = 1 << 20


LIMITS = Limits()

_CHUNK = 1 << 16
_LAST_ROW, _LAST_COLUMN = 1_048_576, 16_384

#: Compound files: what an .xlsx with a password, or an old .xls, starts with.
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0"
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_STRICT = "http://purl.oclc.org/ooxml/"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
_RELATIONSHIP_ID = "http://schemas.openxmlformats.org/officeDocument/2006/relationships id"
_SAVE_AS = 'open it in a spreadsheet program and save it as an ordinary "Excel workbook (.xlsx)"'
_COPY_AGAIN = "copy the workbook again, or open it in a spreadsheet program, check the decisions and save it again"

#: Other files that people rename, by a part that only they have.
_FOREIGN = (
    ("mimetype", "an OpenDocument file (.ods)"),
    ("xl/workbook.bin", "a binary workbook (.xlsb)"),
    ("word/document.xml", "a Word document"),
    ("ppt/presentation.xml", "a PowerPoint presentation"),
    ("index/document.iwa", "a Numbers document"),
)
#: Parts that do something, or show something, beside the cells.
_ACTIVE = ("vbaproject", "xl/macrosheets/", "xl/activex/", "xl/embeddings/", "xl/externallinks/")

#: Every exception that Python's archive reader is known to raise for a damaged file.
_DAMAGED = (
    zipfile.BadZipFile, zlib.error, lzma.LZMAError, EOFError, OSError, NotImplementedError, RuntimeError, ValueError,
    struct.error, LookupError, OverflowError,
)  # fmt: skip

_NUMBER = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d{1,3})?", re.ASCII)
_REFERENCE = re.compile(r"([A-Z]{1,3})([1-9]\d{0,6})", re.ASCII)
_ROW = re.compile(r"[1-9]\d{0,6}", re.ASCII)
#: Number formats that show a number or a text as it is: General, 0, 0.00, #,##0, #,##0.00, @; and their numbers.
_PLAIN_FORMATS = frozenset({"general", "0", "0.00", "#,##0", "#,##0.00", "@"})
_PLAIN_FORMAT_IDS = frozenset({0, 1, 2, 3, 4, 49})
#: Below this (points, or characters of a column) nobody reads anything.
_SMALLEST = 3.0
_SMALLEST_COLUMN = 0.5


class WorkbookFileError(ValueError):
    """The file cannot be read safely; the message names the part, the reason and what to do."""


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
    hidden_columns: set[int] = field(default_factory=set)
    #: Reasons why cells may be covered or be shown otherwise, each with its cell where it has one.
    covered: list[str] = field(default_factory=list)


class WorkbookFile:
    """An .xlsx file that was checked as a container; a context manager.

    :raises WorkbookFileError: when it is none, is damaged, too large, or holds what no reviewed workbook holds.
    """

    def __init__(self, path: Path, limits: Limits = LIMITS) -> None:
        self._limits = limits
        self._elements = 0
        size = path.stat().st_size
        if size > limits.file_bytes:
            raise WorkbookFileError(f"the file has {size} bytes, the limit is {limits.file_bytes}")
        self._archive = _open_archive(path)
        try:
            self._parts = self._check_container()
            self._main = self._find_main()
            self._strings: list[str] | None = None
            self._styles: list[str] | None = None
            self.sheets = self._read_sheets()
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows of a sheet that the file holds, then complete what is beside them.

        :raises WorkbookFileError: when the part is damaged, or programs could read it in different ways.
        """
        if self._strings is None:
            self._strings = self._read_strings()
            self._styles = self._read_styles()
        reader = _SheetReader(sheet, self._strings, self._styles or [])
        for _ in self._parse(sheet.part, reader.start, reader.end, reader.text):
            yield from reader.taken()
        yield from reader.taken()
        self._find_covered(sheet)

    # --- container ------------------------------------------------------------------------------------
    def _check_container(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._archive.infolist()
        if len(entries) > self._limits.parts:
            raise WorkbookFileError(f"the file has {len(entries)} parts, the limit is {self._limits.parts}")
        parts: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            name = entry.filename.lower().lstrip("/")
            if name in parts:
                raise WorkbookFileError(f"part {name[:100]!r} is there twice, programs read either; {_SAVE_AS}")
            if entry.flag_bits & 0x1:
                raise WorkbookFileError("the file has a password: save it without")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise WorkbookFileError(f"part {name[:100]!r} is packed as no workbook is; {_SAVE_AS}")
            if entry.file_size > 1 << 20 and entry.file_size > self._limits.ratio * max(entry.compress_size, 1):
                raise WorkbookFileError(f"part {name[:100]!r} unpacks to more than {self._limits.ratio} times its size")
            parts[name] = entry
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > self._limits.unpacked_bytes:
            raise WorkbookFileError(f"the file unpacks to {unpacked} bytes, the limit is {self._limits.unpacked_bytes}")
        for name, what in _FOREIGN:
            if name in parts:
                raise WorkbookFileError(f"this is {what}, not an .xlsx file; {_SAVE_AS}")
        for name in parts:
            if any(active in name for active in _ACTIVE):
                raise WorkbookFileError(
                    f"the workbook holds macros, links or embedded files ({name[:100]}); {_SAVE_AS}"
                )
        try:
            damaged = self._archive.testzip()
        except _DAMAGED as error:
            raise WorkbookFileError(f"the file is damaged ({str(error)[:200]}); {_COPY_AGAIN}") from error
        if damaged:
            raise WorkbookFileError(f"part {damaged[:100]!r} is damaged; {_COPY_AGAIN}")
        return parts

    def _find_main(self) -> str:
        for kind, target in self._relationships("").values():
            if kind.endswith("/officeDocument"):
                if kind.startswith(_STRICT):
                    raise WorkbookFileError(f"this is a Strict Open XML workbook; {_SAVE_AS}, not Strict")
                return target
        raise WorkbookFileError(f"this is not an .xlsx file: it names no workbook; {_SAVE_AS}")

    def _relationships(self, part: str) -> dict[str, tuple[str, str]]:
        """Return id → (type, target part) of what a part refers to within the file; ``part`` empty: the file."""
        folder, name = posixpath.split(part)
        place = posixpath.join(folder, "_rels", f"{name}.rels")
        found: dict[str, tuple[str, str]] = {}
        if place not in self._parts:
            return found

        def start(tag: str, attributes: dict[str, str], _: int) -> None:
            if tag != f"{_RELATIONSHIPS} Relationship" or attributes.get("TargetMode") == "External":
                return
            key = attributes.get("Id", "")
            if key in found:
                raise WorkbookFileError(f"part {place}: relationship {key[:50]!r} is there twice; {_SAVE_AS}")
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
            found[key] = (attributes.get("Type", ""), target.lstrip("/").lower())

        self._walk(place, start)
        return found

    # --- parts ----------------------------------------------------------------------------------------
    def _parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str], int], None],
        end: Callable[[str, int], None],
        text: Callable[[str], None] | None = None,
    ) -> Iterator[None]:
        """Parse a part; yields after each block. ``start`` and ``end`` are given the element's depth (root: 1)."""
        entry = self._parts.get(part)
        if entry is None:
            raise WorkbookFileError(f"part {part[:100]} is missing; {_COPY_AGAIN}")
        limits, depth = self._limits, 0

        def opened(name: str, attributes: dict[str, str]) -> None:
            nonlocal depth
            depth += 1
            self._elements += 1
            if self._elements > limits.elements or depth > limits.depth:
                raise WorkbookFileError(
                    f"part {part}: more than {limits.elements} elements in the file, or {limits.depth} inside each "
                    "other; if this is the reviewed workbook, make smaller batches (selection in downline.yaml)"
                )
            if depth == 1 and name.startswith(_STRICT):
                raise WorkbookFileError(f"this is a Strict Open XML workbook; {_SAVE_AS}, not Strict")
            start(name, attributes, depth)

        def closed(name: str) -> None:
            nonlocal depth
            end(name, depth)
            depth -= 1

        def refuse_document_type(*_: Any) -> None:
            raise WorkbookFileError(
                f"part {part} declares a document type (entities), which no workbook does; {_SAVE_AS}"
            )

        def require_progress(waiting: int) -> None:
            if waiting > limits.token_bytes:
                raise WorkbookFileError(f"part {part}: a tag or text of more than {limits.token_bytes} bytes")

        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartElementHandler, parser.EndElementHandler = opened, closed
        parser.StartDoctypeDeclHandler = refuse_document_type
        if text:
            parser.CharacterDataHandler = text
        fed = 0
        try:
            with self._archive.open(entry) as file:
                while block := file.read(_CHUNK):
                    parser.Parse(block)
                    fed += len(block)
                    require_progress(fed - parser.CurrentByteIndex)
                    yield
                parser.Parse(b"", True)
        except WorkbookFileError:
            raise
        except expat.ExpatError as error:
            raise WorkbookFileError(f"part {part} is damaged ({error}); {_COPY_AGAIN}") from error
        except _DAMAGED as error:
            raise WorkbookFileError(f"part {part} is damaged ({str(error)[:200]}); {_COPY_AGAIN}") from error

    def _walk(self, part: str, start: Callable[[str, dict[str, str], int], None]) -> None:
        for _ in self._parse(part, start, lambda _name, _depth: None):
            pass

    def _read_sheets(self) -> list[Sheet]:
        related = self._relationships(self._main)
        sheets: list[Sheet] = []
        section = ""

        def start(tag: str, attributes: dict[str, str], depth: int) -> None:
            nonlocal section
            if depth == 1 and tag != f"{_MAIN} workbook":
                raise WorkbookFileError(f"part {self._main} is no workbook; {_SAVE_AS}")
            section = tag if depth == 2 else section
            if tag != f"{_MAIN} sheet":
                return
            if depth != 3 or section != f"{_MAIN} sheets":
                raise WorkbookFileError(f"part {self._main}: a sheet stands outside the list of sheets; {_SAVE_AS}")
            name = unescape_text(attributes.get("name", ""))
            if any(sheet.name.casefold() == name.casefold() for sheet in sheets):
                raise WorkbookFileError(f"sheet {name[:50]!r} is there twice; {_SAVE_AS}")
            kind, target = related.get(attributes.get(_RELATIONSHIP_ID, ""), ("", ""))
            if not kind:
                raise WorkbookFileError(f"sheet {name[:50]!r} names no part of the file; {_COPY_AGAIN}")
            if any(sheet.part == target for sheet in sheets):
                raise WorkbookFileError(f"sheet {name[:50]!r} has the same part as another one; {_COPY_AGAIN}")
            hidden = attributes.get("state", "visible") != "visible"
            sheets.append(Sheet(name, hidden, target, kind.endswith("/worksheet")))

        self._walk(self._main, start)
        return sheets

    def _one_related(self, kind: str) -> str | None:
        found = [target for name, target in self._relationships(self._main).values() if name.endswith(f"/{kind}")]
        if len(found) > 1:
            raise WorkbookFileError(f"part {self._main} names {len(found)} parts of type {kind}; {_SAVE_AS}")
        return found[0] if found else None

    def _read_strings(self) -> list[str]:
        part = self._one_related("sharedStrings")
        strings: list[str] = []
        if part is None:
            return strings
        texts = _Texts(f"{_MAIN} si", 2)

        def end(tag: str, depth: int) -> None:
            if texts.end(tag, depth):
                strings.append(texts.take())

        for _ in self._parse(part, texts.start, end, texts.text):
            pass
        return strings

    def _read_styles(self) -> list[str]:
        """Return, for each style, why a cell of it is shown otherwise than it is; empty: it is not."""
        part = self._one_related("styles")
        if part is None:
            return []
        styles = _Styles()
        self._walk(part, styles.start)
        return styles.unlike()

    def _find_covered(self, sheet: Sheet) -> None:
        for kind, target in self._relationships(sheet.part).values():
            found: list[str] = []

            def start(tag: str, attributes: dict[str, str], _: int, found: list[str] = found) -> None:
                local = tag.rpartition(" ")[2]
                if local in ("comment", "threadedComment"):
                    found.append(
                        f"a comment on cell {attributes.get('ref', '?')[:20]}; write it into the remark column"
                    )
                elif local.endswith("CellAnchor") or local == "absoluteAnchor":
                    found.append("a drawing or picture lies over the cells; remove it")

            if kind.endswith(("/comments", "/threadedComment", "/drawing")):
                self._walk(target, start)
                sheet.covered += found[:1]


class _Texts:
    """Collects the text of rich or plain strings below one element: its runs, without phonetic hints."""

    def __init__(self, element: str, depth: int) -> None:
        self._element, self._depth = element, depth
        self._path: list[str] = []
        self._inside = self._collecting = False
        self._pieces: list[str] = []

    def start(self, tag: str, _attributes: dict[str, str], depth: int) -> None:
        if not self._inside:
            self._inside = tag == self._element and depth == self._depth
            return
        del self._path[depth - self._depth - 1 :]
        self._path.append(tag)
        self._collecting = tag == f"{_MAIN} t" and self._path in ([tag], [f"{_MAIN} r", tag])

    def text(self, piece: str) -> None:
        if self._collecting:
            self._pieces.append(piece)

    def end(self, tag: str, depth: int) -> bool:
        """Return whether the string has ended."""
        self._collecting = False
        if not (self._inside and tag == self._element and depth == self._depth):
            return False
        self._inside, self._path = False, []
        return True

    def take(self) -> str:
        text = "".join(self._pieces)
        self._pieces = []
        return unescape_text(text)


class _Styles:
    """The styles of cells, as far as they decide what is seen."""

    def __init__(self) -> None:
        self._section = ""
        self._formats: dict[int, str] = {}
        self._fonts: list[dict[str, str]] = []
        self._fills: list[dict[str, str]] = []
        self._cells: list[tuple[int, int, int]] = []

    def start(self, tag: str, attributes: dict[str, str], depth: int) -> None:
        name = tag.removeprefix(f"{_MAIN} ")
        if depth == 2:
            self._section = name
        elif self._section == "numFmts" and name == "numFmt":
            self._formats[_number(attributes.get("numFmtId"))] = attributes.get("formatCode", "")
        elif self._section == "fonts":
            self._font(name, attributes, depth)
        elif self._section == "fills":
            self._fill(name, attributes, depth)
        elif self._section == "cellXfs" and name == "xf" and depth == 3:
            self._cells.append(
                (
                    _number(attributes.get("numFmtId")),
                    _number(attributes.get("fontId")),
                    _number(attributes.get("fillId")),
                )
            )

    def _font(self, name: str, attributes: dict[str, str], depth: int) -> None:
        if depth == 3:
            self._fonts.append({"color": "000000"})
        elif self._fonts and name == "color":
            self._fonts[-1]["color"] = _color(attributes, "000000")
        elif self._fonts and name == "sz":
            self._fonts[-1]["size"] = attributes.get("val", "11")

    def _fill(self, name: str, attributes: dict[str, str], depth: int) -> None:
        if depth == 3:
            self._fills.append({"color": "FFFFFF"})
        elif self._fills and name == "patternFill":
            self._fills[-1]["pattern"] = attributes.get("patternType", "none")
        elif self._fills and name == "fgColor" and self._fills[-1].get("pattern") == "solid":
            self._fills[-1]["color"] = _color(attributes, "000000")

    def unlike(self) -> list[str]:
        found = []
        for number, font, fill in self._cells:
            if font >= max(len(self._fonts), 1) or fill >= max(len(self._fills), 1):
                raise WorkbookFileError(f"the part of the styles names a font or fill that is missing; {_COPY_AGAIN}")
            code = self._formats.get(number)
            shown = self._fonts[font] if self._fonts else {}
            if (code.casefold() not in _PLAIN_FORMATS) if code is not None else number not in _PLAIN_FORMAT_IDS:
                found.append(f"its number format {code or number!r} shows something else; set it to General")
            elif shown and shown["color"] == (self._fills[fill]["color"] if self._fills else "FFFFFF"):
                found.append("its text has the colour of its background; make it visible")
            elif (_float(shown.get("size")) or 11) < _SMALLEST:
                found.append("its text is too small to be seen; make it visible")
            else:
                found.append("")
        return found


class _SheetReader:
    """Reads the rows of one sheet from its elements, and notes what is beside them."""

    def __init__(self, sheet: Sheet, strings: list[str], styles: list[str]) -> None:
        self._sheet, self._strings, self._styles = sheet, strings, styles
        self._section = ""
        self._has_data = False
        self._done: list[Row] = []
        self._row: Row | None = None
        self._last_row = self._column = 0
        self._attributes: dict[str, str] = {}
        self._parts: set[str] = set()
        self._collecting = False
        self._pieces: list[str] = []
        self._texts = _Texts(f"{_MAIN} is", 5)
        self._rows_hidden = False

    def taken(self) -> list[Row]:
        """Return the rows that are complete, once."""
        done, self._done = self._done, []
        return done

    def start(self, tag: str, attributes: dict[str, str], depth: int) -> None:
        name = tag.removeprefix(f"{_MAIN} ")
        if depth == 1:
            if name != "worksheet":
                raise self._refused("is no table")
        elif depth == 2:
            self._begin_section(name, attributes)
        elif self._section == "sheetData":
            self._begin_in_data(name, tag, attributes, depth)
        elif name in ("sheetData", "row", "cols", "mergeCells"):
            raise self._refused(f"holds {name} where no program expects it; {_SAVE_AS}")
        elif self._section == "cols" and name == "col":
            self._note_column(attributes)
        elif self._section == "mergeCells" and name == "mergeCell":
            found = _REFERENCE.match(attributes.get("ref", ""))
            self._sheet.merged.append((found[1], int(found[2])) if found else ("?", 0))

    def _begin_section(self, name: str, attributes: dict[str, str]) -> None:
        self._section = name
        if name == "sheetData":
            if self._has_data:
                raise self._refused(f"holds its rows twice; {_SAVE_AS}")
            self._has_data = True
        elif name == "sheetFormatPr":
            self._rows_hidden = _true(attributes.get("zeroHeight"))
        elif name == "conditionalFormatting":
            cells = attributes.get("sqref", "")[:40]
            self._sheet.covered.append(f"conditional formatting of {cells} may hide what cells hold; remove it")

    def _begin_in_data(self, name: str, tag: str, attributes: dict[str, str], depth: int) -> None:
        if depth == 3 and name == "row":
            self._begin_row(attributes)
        elif depth == 4 and name == "c":
            self._begin_cell(attributes)
        elif depth == 5 and name in ("f", "v", "is"):
            if name in self._parts:
                raise self._refused(f"row {self._last_row}: a cell with two values; {_SAVE_AS}")
            self._parts.add(name)
            self._collecting = name == "v"
            self._texts.start(tag, attributes, depth)
        elif depth > 5 and name in ("sheetData", "row", "c", "v", "f", "cols", "mergeCells", "mergeCell"):
            raise self._refused(f"row {self._last_row}: {name} within a text; {_SAVE_AS}")
        elif depth > 5 and "is" in self._parts:
            self._texts.start(tag, attributes, depth)
        elif depth > 5 and self._collecting:
            raise self._refused(f"row {self._last_row}: a value with a tag in it; {_SAVE_AS}")
        elif name != "extLst" and depth < 6:
            raise self._refused(f"row {self._last_row}: {name[:60]!r} is no part of a row; {_SAVE_AS}")

    def text(self, piece: str) -> None:
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
            raise self._refused(f"row number {text[:20]!r} after row {self._last_row} is none; {_SAVE_AS}")
        number = self._last_row + 1 if text is None else int(text)
        if not self._last_row < number <= _LAST_ROW:
            raise self._refused(f"row number {number} after row {self._last_row} cannot be; {_SAVE_AS}")
        height = _float(attributes.get("ht"))
        hidden = _true(attributes.get("hidden")) or (self._rows_hidden if height is None else height < _SMALLEST)
        self._last_row, self._column = number, 0
        self._row = Row(number, hidden, {})

    def _begin_cell(self, attributes: dict[str, str]) -> None:
        reference = attributes.get("r")
        column = self._column + 1
        if reference is not None:
            found = _REFERENCE.fullmatch(reference)
            if not found or int(found[2]) != self._last_row:
                raise self._refused(f"row {self._last_row}: the cell {reference[:20]!r} is not of this row; {_SAVE_AS}")
            column = column_index_from_string(found[1])
        if not self._column < column <= _LAST_COLUMN:
            raise self._refused(f"row {self._last_row}: a cell is there twice, or out of order; {_SAVE_AS}")
        self._column, self._attributes = column, attributes
        self._parts.clear()
        self._pieces.clear()

    def _end_cell(self) -> None:
        kind, parts = self._attributes.get("t", "n"), self._parts
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
            value, kind = self._strings[int(text)], "text"
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
            self._row.cells[self._column] = Cell(value, kind, self._unlike())

    def _parsed_number(self, text: str) -> int | float:
        if not _NUMBER.fullmatch(text) or len(text) > 40:
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
        first, last = _number(attributes.get("min")), min(_number(attributes.get("max")), _LAST_COLUMN)
        width = _float(attributes.get("width"))
        if _true(attributes.get("hidden")) or (width is not None and width < _SMALLEST_COLUMN):
            self._sheet.hidden_columns.update(range(first, last + 1))

    def _refused(self, reason: str) -> WorkbookFileError:
        return WorkbookFileError(f"part {self._sheet.part} (sheet {self._sheet.name[:50]}): {reason}")

    def _refused_cell(self, reason: str) -> WorkbookFileError:
        cell = f"{get_column_letter(self._column)}{self._last_row}"
        return self._refused(f"cell {cell} {reason}; {_COPY_AGAIN}")


def _open_archive(path: Path) -> zipfile.ZipFile:
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(_COMPOUND_FILE):
        raise WorkbookFileError(f"the file has a password, or is an old .xls: {_SAVE_AS}, without a password")
    if not start.startswith(b"PK"):
        what = "is empty" if not start else "is text, e.g. CSV or HTML" if b"\0" not in start else "is something else"
        raise WorkbookFileError(f"this is not an .xlsx file, it {what}; {_SAVE_AS}")
    try:
        return zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise WorkbookFileError(f"the file is damaged or cut off ({str(error)[:200]}); {_COPY_AGAIN}") from error


def _number(text: str | None) -> int:
    """Return a count or an index of the styles; what is missing or no number is 0, the default."""
    return int(text) if text and text.isascii() and text.isdigit() and len(text) < 7 else 0


def _float(text: str | None) -> float | None:
    return float(text) if text and len(text) < 40 and _NUMBER.fullmatch(text) else None


def _true(text: str | None) -> bool:
    return text in ("1", "true")


def _color(attributes: dict[str, str], default: str) -> str:
    """Return a colour as six digits, or as the name of one of the theme; white and black are the same in both."""
    if "rgb" in attributes:
        return attributes["rgb"][-6:].upper()
    if "theme" in attributes:
        known = {"0": "FFFFFF", "1": "000000"}.get(attributes["theme"]) if not _float(attributes.get("tint")) else None
        return known or f"theme {attributes['theme']} {attributes.get('tint', '')}"
    if "indexed" in attributes:
        palette = {"0": "000000", "8": "000000", "64": "000000", "1": "FFFFFF", "9": "FFFFFF", "65": "FFFFFF"}
        return palette.get(attributes["indexed"], f"indexed {attributes['indexed']}")
    return default
