"""Read an .xlsx file that came from outside, as a spreadsheet program shows it; formulas are never evaluated.

`workbook_package` holds limits and refusals of the file, `workbook_sheet` how rows are read, `workbook_styles` what is
shown otherwise than it is. Every refusal is one `WorkbookFileError`, which names the part and says what to do.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from sys import getsizeof
from types import TracebackType
from typing import Self

from drawsguard.points.review.workbook_package import (
    COPY_AGAIN,
    LIMITS,
    SAVE_AS,
    Limits,
    WorkbookFileError,
    WorkbookPackage,
)
from drawsguard.points.review.workbook_sheet import MOST_TEXT, Row, Sheet, SheetReader, Texts
from drawsguard.points.review.workbook_styles import MAIN, Styles
from drawsguard.points.sheets import unescape_text

#: Memory of the texts that cells share (bytes); a letter outside Latin makes its text take up to four times as much.
_SHARED_BYTES = 512 << 20

_RELATIONSHIP_ID = "http://schemas.openxmlformats.org/officeDocument/2006/relationships id"


class WorkbookFile:
    """An .xlsx file that was checked as a container; a context manager.

    :raises WorkbookFileError: when it is none, is damaged, too large, or holds what no reviewed workbook holds.
    """

    def __init__(self, path: Path, limits: Limits = LIMITS) -> None:
        self._package = WorkbookPackage(path, limits)
        try:
            self._strings: list[str] | None = None
            self._runs: dict[int, str] = {}
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
        self._package.close()

    def rows(self, sheet: Sheet) -> Iterator[Row]:
        """Yield the rows of a sheet that the file holds, then complete what is beside them.

        :raises WorkbookFileError: when the part is damaged, or programs could read it in different ways.
        """
        if self._strings is None:
            self._strings = self._read_strings()
            self._styles = self._read_styles()
        reader = SheetReader(sheet, self._strings, self._runs, self._styles or [])
        for _ in self._package.parse(sheet.part, reader.start, reader.end, reader.text):
            yield from reader.taken()
        yield from reader.taken()
        self._find_covered(sheet)

    def _read_sheets(self) -> list[Sheet]:
        related = self._package.relationships(self._package.main)
        sheets: list[Sheet] = []
        section = ""

        def start(tag: str, attributes: dict[str, str], depth: int) -> None:
            nonlocal section
            if depth == 1 and tag != f"{MAIN} workbook":
                raise WorkbookFileError(f"part {self._package.main} is no workbook; {SAVE_AS}")
            section = tag if depth == 2 else section
            if tag != f"{MAIN} sheet":
                return
            if depth != 3 or section != f"{MAIN} sheets":
                raise WorkbookFileError(
                    f"part {self._package.main}: a sheet stands outside the list of sheets; {SAVE_AS}"
                )
            name = unescape_text(attributes.get("name", ""))
            if any(sheet.name.casefold() == name.casefold() for sheet in sheets):
                raise WorkbookFileError(f"sheet {name[:50]!r} is there twice; {SAVE_AS}")
            kind, target = related.get(attributes.get(_RELATIONSHIP_ID, ""), ("", ""))
            if not kind:
                raise WorkbookFileError(f"sheet {name[:50]!r} names no part of the file; {COPY_AGAIN}")
            if any(sheet.part == target for sheet in sheets):
                raise WorkbookFileError(f"sheet {name[:50]!r} has the same part as another one; {COPY_AGAIN}")
            hidden = attributes.get("state", "visible") != "visible"
            sheets.append(Sheet(name, hidden, target, kind.endswith("/worksheet")))

        self._package.walk(self._package.main, start)
        return sheets

    def _read_strings(self) -> list[str]:
        part = self._package.one_related("sharedStrings")
        strings: list[str] = []
        if part is None:
            return strings
        texts, held = Texts(f"{MAIN} si", 2), 0

        def text(piece: str) -> None:
            texts.text(piece)
            if texts.length > MOST_TEXT:
                raise WorkbookFileError(f"part {part}: a text has more than {MOST_TEXT} characters; {COPY_AGAIN}")

        def end(tag: str, depth: int) -> None:
            nonlocal held
            unlike = texts.unlike
            if texts.end(tag, depth):
                if unlike:
                    self._runs[len(strings)] = unlike
                strings.append(texts.take())
                held += getsizeof(strings[-1])
                if held > _SHARED_BYTES:
                    raise WorkbookFileError(f"part {part}: its texts take more than {_SHARED_BYTES} bytes")

        for _ in self._package.parse(part, texts.start, end, text):
            pass
        return strings

    def _read_styles(self) -> list[str]:
        """Return, for each style, why a cell of it is shown otherwise than it is; empty: it is not."""
        part = self._package.one_related("styles")
        if part is None:
            return []
        styles = Styles()
        self._package.walk(part, styles.start)
        return styles.unlike()

    def _find_covered(self, sheet: Sheet) -> None:
        for kind, target in self._package.relationships(sheet.part).values():
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
                self._package.walk(target, start)
                sheet.covered += found[:1]
