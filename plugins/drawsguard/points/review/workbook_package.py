"""The container of an .xlsx file that came from outside: its parts, streamed within limits.

A damaged, foreign or hostile file ends in one `WorkbookFileError`, which names the part and says what to do. Macros are
never run, external references never followed; declarations of document types (and so entities) are refused. What
programs read in different ways, such as doubled parts, is refused, too.
"""

from __future__ import annotations

import lzma
import posixpath
import struct
import zipfile
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.parsers import expat


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

#: Compound files: what an .xlsx with a password, or an old .xls, starts with.
_COMPOUND_FILE = b"\xd0\xcf\x11\xe0"
_STRICT = "http://purl.oclc.org/ooxml/"
_RELATIONSHIPS = "http://schemas.openxmlformats.org/package/2006/relationships"
#: What to do, as the messages say it.
SAVE_AS = 'open it in a spreadsheet program and save it as an ordinary "Excel workbook (.xlsx)"'
COPY_AGAIN = "copy the workbook again, or open it in a spreadsheet program, check the decisions and save it again"

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


class WorkbookFileError(ValueError):
    """The file cannot be read safely; the message names the part, the reason and what to do."""


class WorkbookPackage:
    """The parts of an .xlsx file, checked as a container.

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
            #: The part of the workbook itself.
            self.main = self._find_main()
        except BaseException:
            self.close()
            raise

    def close(self) -> None:
        """Close the file."""
        self._archive.close()

    def one_related(self, kind: str) -> str | None:
        """Return the one part of a type that the workbook refers to; None: there is none."""
        found = [target for name, target in self.relationships(self.main).values() if name.endswith(f"/{kind}")]
        if len(found) > 1:
            raise WorkbookFileError(f"part {self.main} names {len(found)} parts of type {kind}; {SAVE_AS}")
        return found[0] if found else None

    def relationships(self, part: str) -> dict[str, tuple[str, str]]:
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
                raise WorkbookFileError(f"part {place}: relationship {key[:50]!r} is there twice; {SAVE_AS}")
            target = posixpath.normpath(posixpath.join("/", folder, attributes.get("Target", "")))
            found[key] = (attributes.get("Type", ""), target.lstrip("/").lower())

        self.walk(place, start)
        return found

    def parse(
        self,
        part: str,
        start: Callable[[str, dict[str, str], int], None],
        end: Callable[[str, int], None],
        text: Callable[[str], None] | None = None,
    ) -> Iterator[None]:
        """Parse a part; yields after each block. ``start`` and ``end`` are given the element's depth (root: 1)."""
        entry = self._parts.get(part)
        if entry is None:
            raise WorkbookFileError(f"part {part[:100]} is missing; {COPY_AGAIN}")
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
                raise WorkbookFileError(f"this is a Strict Open XML workbook; {SAVE_AS}, not Strict")
            start(name, attributes, depth)

        def closed(name: str) -> None:
            nonlocal depth
            end(name, depth)
            depth -= 1

        def refuse_document_type(*_: Any) -> None:
            raise WorkbookFileError(
                f"part {part} declares a document type (entities), which no workbook does; {SAVE_AS}"
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
            raise WorkbookFileError(f"part {part} is damaged ({error}); {COPY_AGAIN}") from error
        except _DAMAGED as error:
            raise WorkbookFileError(f"part {part} is damaged ({str(error)[:200]}); {COPY_AGAIN}") from error

    def walk(self, part: str, start: Callable[[str, dict[str, str], int], None]) -> None:
        """Parse a part for the beginnings of its elements."""
        for _ in self.parse(part, start, lambda _name, _depth: None):
            pass

    def _check_container(self) -> dict[str, zipfile.ZipInfo]:
        entries = self._archive.infolist()
        if len(entries) > self._limits.parts:
            raise WorkbookFileError(f"the file has {len(entries)} parts, the limit is {self._limits.parts}")
        parts: dict[str, zipfile.ZipInfo] = {}
        for entry in entries:
            name = entry.filename.lower().lstrip("/")
            if name in parts:
                raise WorkbookFileError(f"part {name[:100]!r} is there twice, programs read either; {SAVE_AS}")
            if entry.flag_bits & 0x1:
                raise WorkbookFileError("the file has a password: save it without")
            if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):
                raise WorkbookFileError(f"part {name[:100]!r} is packed as no workbook is; {SAVE_AS}")
            if entry.file_size > 1 << 20 and entry.file_size > self._limits.ratio * max(entry.compress_size, 1):
                raise WorkbookFileError(f"part {name[:100]!r} unpacks to more than {self._limits.ratio} times its size")
            parts[name] = entry
        unpacked = sum(entry.file_size for entry in entries)
        if unpacked > self._limits.unpacked_bytes:
            raise WorkbookFileError(f"the file unpacks to {unpacked} bytes, the limit is {self._limits.unpacked_bytes}")
        for name, what in _FOREIGN:
            if name in parts:
                raise WorkbookFileError(f"this is {what}, not an .xlsx file; {SAVE_AS}")
        for name in parts:
            if any(active in name for active in _ACTIVE):
                raise WorkbookFileError(f"the workbook holds macros, links or embedded files ({name[:100]}); {SAVE_AS}")
        try:
            damaged = self._archive.testzip()
        except _DAMAGED as error:
            raise WorkbookFileError(f"the file is damaged ({str(error)[:200]}); {COPY_AGAIN}") from error
        if damaged:
            raise WorkbookFileError(f"part {damaged[:100]!r} is damaged; {COPY_AGAIN}")
        return parts

    def _find_main(self) -> str:
        for kind, target in self.relationships("").values():
            if kind.endswith("/officeDocument"):
                if kind.startswith(_STRICT):
                    raise WorkbookFileError(f"this is a Strict Open XML workbook; {SAVE_AS}, not Strict")
                return target
        raise WorkbookFileError(f"this is not an .xlsx file: it names no workbook; {SAVE_AS}")


def _open_archive(path: Path) -> zipfile.ZipFile:
    with path.open("rb") as file:
        start = file.read(512)
    if start.startswith(_COMPOUND_FILE):
        raise WorkbookFileError(f"the file has a password, or is an old .xls: {SAVE_AS}, without a password")
    if not start.startswith(b"PK"):
        what = "is empty" if not start else "is text, e.g. CSV or HTML" if b"\0" not in start else "is something else"
        raise WorkbookFileError(f"this is not an .xlsx file, it {what}; {SAVE_AS}")
    try:
        return zipfile.ZipFile(path)
    except _DAMAGED as error:
        raise WorkbookFileError(f"the file is damaged or cut off ({str(error)[:200]}); {COPY_AGAIN}") from error
