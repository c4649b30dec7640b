"""Mutations of a real workbook: each is read as a person sees it, or refused; none ends in another error.

A new seed every day. ``FUZZ_SEED`` plays one again, ``FUZZ_SECONDS`` sets how long (processor time), for long runs.
"""

from __future__ import annotations

import os
import random
import re
import time
import zipfile
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from openpyxl import load_workbook
from openpyxl.utils.escape import unescape

from drawsguard.points.review.candidate import DECISIONS, FIRST_DATA_ROW, Decision
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.confirmed import Confirmed, WorkbookRefusedError, read_confirmed
from tests.unit.points.review.test_workbook import DECISION, UNUSED_PART, Review, candidate, decide, make

SECONDS = float(os.environ.get("FUZZ_SECONDS", "6"))
SEED = int(os.environ.get("FUZZ_SEED", f"{datetime.now(UTC):%Y%m%d}"))

#: What decides how a sheet is read and seen, put into parts at random.
TOKENS = [
    ' hidden="1"', ' ht="0"', ' t="s"', ' t="str"', ' t="b"', ' t="e"', ' t="d"', ' t="inlineStr"', ' s="1"',
    ' s="99"', ' state="hidden"', ' r="A3"', ' r="A4"', ' r="S3"', ' zeroHeight="1"', "<f>1</f>", "<v>2</v>",
    "<v>-1</v>", "<v/>", "<is><t>keep</t></is>", "<is><t>downline</t></is>", "<!-- x -->", "<![CDATA[keep]]>", "&#0;",
    "&lt;", "&a;", "_x000D_", '<!DOCTYPE a [<!ENTITY a "keep">]>', '<row r="9"><c r="A9"><v>1</v></c></row>', "<row/>",
    "</row>", "</c>", "<c/>", '<mergeCells><mergeCell ref="S3:S6"/></mergeCells>', "<rPh><t>keep</t></rPh>", "\u200b",
    "\uff11", "keep", "downline", "\x00",
    '<c r="S5" t="inlineStr"><is><t>downline</t></is></c><c r="T5" t="inlineStr"><is><t>x</t></is></c>',
]  # fmt: skip
VALUES: list[Any] = [
    None, "", " ", "keep", "downline", "下线", "保留 keep", "下线 downline", "DOWNLINE", "keep\u200b", "=1+1", "#N/A",
    "1", "\uff11", 0, 1, 2, 3, 1.0, 1.5, -1, 10**15, 10**30, True, False, datetime.fromisoformat("2024-01-01"),
    "x" * 300, "x" * 32_000, "\u202ekeep", "_x0031_",
]  # fmt: skip
FORMATS = ["General", "@", "0", '"2"', ";;;", "yyyy-mm-dd", '"keep"']


def flip(content: bytes, chance: random.Random) -> bytes:
    """Change, drop, double or move some bytes."""
    data = bytearray(content)
    for _ in range(chance.choice((1, 1, 1, 2, 8, 64))):
        place = chance.randrange(len(data) + 1)
        end = min(len(data), place + chance.choice((1, 1, 4, 64, 1024)))
        change = chance.randrange(5)
        if change == 0 and place < len(data):
            data[place] ^= 1 << chance.randrange(8)
        elif change == 1:
            del data[place:end]
        elif change == 2:
            data[place:place] = data[place:end]
        elif change == 3:
            data[place:place] = chance.randbytes(3)
        else:
            del data[place : None if chance.random() < 0.3 else end]
    return bytes(data)


def bytes_of_the_file(review: Review, chance: random.Random) -> None:
    review.path.write_bytes(flip(review.path.read_bytes(), chance))


def parts_of_the_file(review: Review, chance: random.Random) -> None:
    with zipfile.ZipFile(review.path) as archive:
        parts = [(name, archive.read(name)) for name in archive.namelist()]
    for _ in range(chance.choice((1, 1, 2, 4))):
        # Half of them in the sheet that decides.
        names = [number for number, (name, _) in enumerate(parts) if chance.random() < 0.5 or name == UNUSED_PART]
        number = chance.choice(names)
        name, content = parts[number]
        change = chance.randrange(8)
        if change == 0:
            parts[number] = (name, flip(content, chance))
        elif change == 1:
            parts.append(parts[number])
        elif change == 2:
            del parts[number]
        elif change == 3:
            parts[number] = (name, parts[chance.randrange(len(parts))][1])
        else:
            parts[number] = (name, tokens(content.decode("utf-8", "replace"), chance).encode())
        if not parts:
            return
    with zipfile.ZipFile(review.path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, content in parts:
            archive.writestr(name, content)


def tokens(text: str, chance: random.Random) -> str:
    """Insert tokens before the end of tags or between them, drop an attribute, or swap two values."""
    places = [found.start() for found in re.finditer(r"/?>", text)] or [0]
    change, place = chance.randrange(4), chance.choice(places)
    if change == 0:
        return text[:place] + chance.choice([token for token in TOKENS if token[0] == " "]) + text[place:]
    if change == 1:
        place = text.find(">", place) + 1
        return text[:place] + chance.choice(TOKENS) + text[place:]
    if change == 2:
        found = chance.choice(list(re.finditer(r' [\w:]+="[^"]*"', text)) or [None])
        return text[: found.start()] + text[found.end() :] if found else text
    values = list(re.finditer(r"(?<=>)[^<>]+(?=<)", text))
    if len(values) < 2:
        return text
    one, other = sorted(chance.sample(values, 2), key=lambda found: found.start())
    return text[: one.start()] + other[0] + text[one.end() : other.start()] + one[0] + text[other.end() :]


def cells_of_a_sheet(review: Review, chance: random.Random) -> None:
    workbook = load_workbook(review.path)
    for _ in range(chance.choice((1, 1, 2, 5))):
        sheet = workbook[chance.choice([PointClass.UNUSED.label] * 3 + workbook.sheetnames)]
        row = chance.randrange(1, 10)
        cell = sheet.cell(row, chance.choice((1, 2, DECISION, DECISION, DECISION + 1, DECISION + 2, 22)))
        change = chance.randrange(8)
        if change < 4:
            cell.value = chance.choice(VALUES)
        elif change == 4:
            cell.number_format = chance.choice(FORMATS)
        elif change == 5:
            sheet.row_dimensions[row].hidden = True
        elif change == 6:
            chance.choice((sheet.delete_rows, sheet.insert_rows))(row)
        else:
            sheet.sheet_state = chance.choice(("visible", "hidden", "veryHidden"))
    if not any(sheet.sheet_state == "visible" for sheet in workbook.worksheets):
        workbook.worksheets[0].sheet_state = "visible"
    workbook.save(review.path)


def seen(path: Path) -> dict[int, tuple[str, str]] | None:
    """What an independent reader shows to go offline, and who says so; None: it cannot read the file."""
    try:
        workbook = load_workbook(path, data_only=True)
    except Exception:  # noqa: BLE001 - whatever it cannot open, a person does not see
        return None
    found: dict[int, tuple[str, str]] = {}
    for point_class in PointClass:
        if point_class.label not in workbook.sheetnames or workbook[point_class.label].sheet_state != "visible":
            continue
        sheet = workbook[point_class.label]
        for row in range(FIRST_DATA_ROW, sheet.max_row + 1):
            point, chosen, reviewer = (sheet.cell(row, column) for column in (1, DECISION, DECISION + 1))
            if sheet.row_dimensions[row].hidden or any(c.number_format in FORMATS[3:] for c in (point, chosen)):
                continue
            if DECISIONS.get(str(chosen.value or "").strip().lower()) is Decision.DOWNLINE:
                name = unescape(str(reviewer.value))  # which openpyxl leaves to its callers, and programs show
                found[int(point.value)] = ("downline", " ".join(name.split()))
    return found


def accepted(confirmed: Mapping[int, Confirmed]) -> dict[int, tuple[str, str]]:
    return {point: ("downline", c.reviewer) for point, c in confirmed.items() if c.decision is Decision.DOWNLINE}


MUTATIONS: list[Callable[[Review, random.Random], None]] = [bytes_of_the_file, parts_of_the_file, cells_of_a_sheet]


@pytest.mark.filterwarnings("ignore")  # of openpyxl and zipfile, about what was broken on purpose
def test_a_mutation_is_refused_or_read_as_a_person_sees_it(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    original = make(tmp_path / "original.xlsx", [*map(candidate, range(1, 5)), candidate(5, PointClass.READ_ONLY)])
    written = original.path.read_bytes()
    original.edit(lambda workbook: decide(workbook, 1, 2))
    decided, fresh = original.path.read_bytes(), accepted(original.read())
    assert fresh == {1: ("downline", "mangge"), 2: ("downline", "mangge")} == seen(original.path)
    review = Review(tmp_path / "mutated.xlsx", original.known)
    counts = {"refused": 0, "accepted": 0, "accepted, unreadable elsewhere": 0}
    slowest, longest, number, ends = 0.0, 0, 0, time.process_time() + SECONDS
    while time.process_time() < ends or number < 30:
        number += 1
        chance = random.Random(f"{SEED}-{number}")
        review.path.write_bytes(chance.choice((written, decided, decided)))
        chance.choice(MUTATIONS)(review, chance)
        started = time.process_time()
        try:
            _, confirmed = read_confirmed(review.path, {"b1": review.known}.get)
        except WorkbookRefusedError as refusal:
            counts["refused"] += 1
            longest = max(longest, len(str(refusal)))
            continue
        except Exception as error:
            raise AssertionError(f"FUZZ_SEED={SEED}, mutation {number}: {type(error).__name__}: {error}") from error
        finally:
            slowest = max(slowest, time.process_time() - started)
        shown = seen(review.path)
        counts["accepted" if shown is not None else "accepted, unreadable elsewhere"] += 1
        expected = [shown] if shown is not None else [fresh, {}]
        assert accepted(confirmed) in expected, f"FUZZ_SEED={SEED}, mutation {number}: {accepted(confirmed)} ≠ {shown}"
    with capsys.disabled():
        print(f"\nworkbook fuzz, FUZZ_SEED={SEED}: {number} mutations, {counts}, slowest {slowest:.2f} s")  # noqa: T201
    assert counts["refused"] > number / 4, "the mutations change too little to find anything"
    assert counts["accepted"], "nothing is accepted any more"
    assert slowest < 30
    assert longest < 40_000, "a refusal that nobody reads"
