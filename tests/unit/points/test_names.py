"""Names that come from data, in everything that the points lifecycle writes: never a formula, markup or a new cell."""

from __future__ import annotations

import re
import zipfile
from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from jinja2 import Environment, nodes
from openpyxl import Workbook, load_workbook

from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.lifetime import LifetimePoint, LifetimeReport
from drawsguard.points.cleanup.lifetime_workbook import write_lifetime
from drawsguard.points.cleanup.result import CleanupResult
from drawsguard.points.cleanup.result import write_result as write_cleanup_result
from drawsguard.points.cleanup.ticket import LivingPoints, plan_tickets
from drawsguard.points.cleanup.ticket_repository import MemoryResult, PointResult, StoredTicket
from drawsguard.points.cleanup.ticket_workbook import write_tickets
from drawsguard.points.downline.journal import Entry, PlannedRow
from drawsguard.points.downline.plan import Difference, Plan
from drawsguard.points.downline.report import DownlineReport, plan_lines, write_result
from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.downline.structures import write_structures
from drawsguard.points.review.batch_repository import Batch
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.evidence import Window
from drawsguard.points.review.usage_report import tab_separated
from drawsguard.points.review.workbook import ReviewHead, ReviewRow, write_review
from drawsguard.points.sheets import add_table, cell_text, reads_as_formula
from drawsguard.settings import REPOSITORY
from drawsguard.templates import TEMPLATE_ROOT, escape_markdown, render_template

FORMULA = "cmd|'/c calc'!A0"
NAMES = [
    *(f"{start}{FORMULA}" for start in ("=", "+", "-", "@", " =", "\u3000=", "\ufeff@")),
    *(f"{blank}{sign}2+3{FORMULA}" for blank in "\t\r\n" for sign in "=+-@"),
    *(f"{start}{FORMULA}" for start in ("\u200b=", "\uff1d", "\uff0b", "\uff0d", "\uff20", "\u2212")),
    "a\tb\n=c", "a\r\n# APPROVED", "#REF!", "<h1>APPROVED</h1>", "[APPROVED](https://evil.example)", "{{ 7 * 7 }}",
    "{% raw %}", "\u202edesrever", "'quoted'", '"quoted"', "a,b;c|d", "_x000D_", "\x00\x07",
    "redis_mq\u200f 7", "\u061ca",
]  # fmt: skip
NOW = datetime.fromisoformat("2024-08-02")


def evidence(name: str) -> list[Any]:
    return [1, name, name, name, name, name, name, name, name, 1, 0, *[name] * 2, 0, *[name] * 4]


def review(path: Path, name: str) -> None:
    head = ReviewHead("b1", "0" * 64, "intranet", Window.ending(date(2024, 7, 30), 180), {"备注 note": name})
    write_review(path, head, [ReviewRow(PointClass.UNUSED, [1, *map(cleaned, evidence(name)[1:])])])


def cleaned(value: Any) -> Any:
    return cell_text(value) if isinstance(value, str) else value


def structures(path: Path, name: str) -> None:
    write_structures(path, [Structure(1, name, name, name, name)])


def table(path: Path, name: str) -> None:
    workbook = Workbook(write_only=True)
    add_table(workbook, name, [[name, name]], [(name, 10), ("b", 10)], [[name, 1], [None, name]])
    workbook.save(path)


def report(name: str) -> DownlineReport:
    row = PlannedRow("point", name, 1, name, 1, name, name, 0)
    batch = Batch("b1", "intranet", NOW.date(), NOW.date(), "0" * 64, "downlined", name, None, None, None, None)
    entries = {"intranet": [Entry(row, "downlined", NOW.replace(tzinfo=UTC), None)], "extranet": []}
    differences = {"intranet": [Difference("point", 1, name, name)], "extranet": []}
    return DownlineReport(batch, [], entries, differences, [], [], [])  # type: ignore[arg-type]


def result(path: Path, name: str) -> None:
    written, _ = write_result(path.parent, report(name))
    written.rename(path)


def tickets(path: Path, name: str) -> None:
    points = [Structure(1, name, "string", f"k:{name}", None), Structure(2, "redis_mq", "string", name, None)]
    made = plan_tickets("b1", points, LivingPoints((), {}), {"redis_mq": frozenset({name})}, get_config())
    write_tickets(path, name, made, {})


def cleanup_result(path: Path, name: str) -> None:
    ticket = StoredTicket(name, name, name, name, "own", name, 1, (name,), 1, 1, "done", name, NOW, NOW)
    point = PointResult(1, name, name, name, 1, 1, 1, 1, 0, 0, 0)
    write_cleanup_result(path, CleanupResult(name, [ticket], [point], [MemoryResult(name, name, 1, None)]))


def lifetime(path: Path, name: str) -> None:
    write_lifetime(
        path, "2024-08", LifetimeReport([LifetimePoint(7, name, name, "2024-07", 400, False)] * 2, (30, 180))
    )


WRITERS = [review, structures, table, result, tickets, cleanup_result, lifetime]


def test_every_workbook_has_a_writer_here() -> None:
    modules = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "plugins").rglob("*.py")
        if re.search(r"\bWorkbook\(", path.read_text("utf-8"))
    }
    assert modules == {
        "plugins/drawsguard/points/cleanup/lifetime_workbook.py",
        "plugins/drawsguard/points/cleanup/result.py",
        "plugins/drawsguard/points/cleanup/ticket_workbook.py",
        "plugins/drawsguard/points/downline/report.py",
        "plugins/drawsguard/points/downline/structures.py",
        "plugins/drawsguard/points/review/workbook.py",
    }


@pytest.mark.parametrize("write", WRITERS)
def test_no_name_is_a_formula_of_a_workbook(tmp_path: Path, write: Callable[[Path, str], None]) -> None:
    for number, name in enumerate(NAMES):
        path = tmp_path / f"{number}.xlsx"
        write(path, name)
        with zipfile.ZipFile(path) as archive:
            parts = {part: archive.read(part).decode() for part in archive.namelist() if "worksheets/sheet" in part}
        assert not [part for part, text in parts.items() if re.search(r"<f[ >/]", text)], name
        for sheet in load_workbook(path).worksheets:
            for cell in (cell for row in sheet.iter_rows() for cell in row if isinstance(cell.value, str)):
                assert cell.data_type == "s", (name, cell.coordinate, cell.value)
                assert len(cell.value.splitlines()) == 1, (name, cell.coordinate)
                # Whoever edits the cell and leaves it does not make a formula of it.
                assert cell.quotePrefix or not reads_as_formula(cell.value), (name, cell.coordinate)


def lines_of(name: str) -> Iterable[tuple[int, Iterable[str]]]:
    row = PlannedRow("point", name, 1, name, 1, name, name, 0)
    plan = Plan("b1", "intranet", "downline", (row,), (Difference("point", 1, name, name),))
    yield 19, list(tab_separated([ReviewRow(PointClass.UNUSED, evidence(name))]))[1:]
    yield 4, report(name).lines()
    lines = list(plan_lines(plan))
    yield 4, [line for line in lines if line.startswith("intranet")]
    yield 5, [line for line in lines if line.startswith("差异")]
    yield 6, lines[-1:]


@pytest.mark.parametrize("name", NAMES)
def test_no_name_leaves_its_cell_of_a_text_that_is_pasted(name: str) -> None:
    for columns, lines in lines_of(name):
        for line in lines:
            cells = line.split("\t")
            assert len(cells) == columns, line
            assert len(line.splitlines()) == 1, line
            assert not any(reads_as_formula(cell) for cell in cells), line


@pytest.mark.parametrize("name", NAMES)
def test_no_name_reorders_or_ends_a_line_of_a_page_or_mail(name: str) -> None:
    for text in (
        str(escape_markdown(name)),
        render_template("points/review/owner_list.subject.txt", rows=[], batch={"batch_id": name}),
    ):
        assert len(text.splitlines()) <= 1
        assert not re.search("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069\x00]", text)


TEMPLATES = sorted(path.relative_to(TEMPLATE_ROOT).as_posix() for path in TEMPLATE_ROOT.rglob("*.*"))


@pytest.mark.parametrize("path", TEMPLATES)
def test_no_template_takes_a_value_for_markup(path: str) -> None:
    """`test_templates` tests the formats; this one, that no file leaves its format's escaping."""
    tree = Environment(autoescape=True).parse((TEMPLATE_ROOT / path).read_text("utf-8"))  # only parsed
    assert "safe" not in {found.name for found in tree.find_all(nodes.Filter)}
    assert not list(tree.find_all(nodes.ScopedEvalContextModifier)), "autoescape is switched off"
    assert Path(path).suffix in (".html", ".md", ".txt")


def test_cells_are_written_in_one_place() -> None:
    writers = {
        path.relative_to(REPOSITORY).as_posix()
        for path in (REPOSITORY / "plugins").rglob("*.py")
        if re.search(r"\bsheet\.append\(|WriteOnlyCell\(|\bcsv\.writer\(|\\t\"?\.join", path.read_text("utf-8"))
    }
    assert writers == {
        "plugins/drawsguard/points/sheets.py",
        "plugins/drawsguard/points/review/workbook.py",
        "plugins/drawsguard/pages/point_life.py",  # each cell by `sheets.pasted_cell`
    }
