"""Upload, check, start and download of workbooks, on a real server, by several roles."""

from __future__ import annotations

import io
import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from openpyxl import load_workbook

from drawsguard.artifacts import Listing
from drawsguard.pages.site import Sources
from drawsguard.points.database import close
from drawsguard.points.review.candidate import EVIDENCE_COLUMNS, FIRST_DATA_ROW, Decision
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.workbook import ReviewHead, write_review
from hooks import artifacts
from hooks.confirmed_workbook import find_workbook
from tests.integration.pages_world import (
    Doings,
    artifacts_at,
    reader,
    rights_of,
    role,
    send,
    sources_of,
    the_artifacts,
)
from tests.integration.points_world import BATCH, World, new_world, small_world
from tests.object_stores import BUCKET, ObjectStore, object_store

pytestmark = pytest.mark.integration

DECISION = len(EVIDENCE_COLUMNS) + 1
NAME = "<script>alert(1)</script>.xlsx"


@pytest.fixture(scope="module")
def world(stack: Any) -> Iterator[World]:
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    yield made
    close(made.governance)


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    made = tmp_path / "shared"
    made.mkdir()
    with artifacts_at(str(made)):
        yield made


@pytest.fixture
def sources(world: World, folder: Path) -> Sources:
    return sources_of(world, store=the_artifacts)


@pytest.fixture(scope="module")
def review(world: World, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The workbook of the report, as the reviewers get it."""
    report = world.report()
    digest = world.repositories.batches.save_report(BATCH, "intranet", report.window, report.rows)
    path = tmp_path_factory.mktemp("review") / "review.xlsx"
    write_review(path, ReviewHead(BATCH, digest, "intranet", report.window, {}), report.rows)
    return path


def filled(review: Path, reviewer: str = "mangge", rows: int = 2) -> bytes:
    book = load_workbook(review)
    sheet = book[PointClass.UNUSED.label]
    for row in range(FIRST_DATA_ROW, FIRST_DATA_ROW + rows):
        sheet.cell(row, DECISION, Decision.DOWNLINE.label)
        sheet.cell(row, DECISION + 1, reviewer)
        sheet.cell(row, DECISION + 2, "<b>remark</b>")
    buffer = io.BytesIO()
    book.save(buffer)
    return buffer.getvalue()


def upload(person: Any, content: bytes, name: str = NAME) -> Any:
    shown = person.get("files?lang=en").text
    return send(person, shown, "files/check", {}, files={"workbook": (name, content)})


def test_a_good_workbook_is_shown_row_by_row_kept_and_nothing_is_started(
    sources: Sources, folder: Path, review: Path
) -> None:
    doings = Doings()
    answer = upload(reader(sources, None, doings), filled(review))
    assert answer.status_code == 200, answer.text
    assert "The workbook is accepted" in answer.text
    going = answer.text.split('id="going"')[1].split("</details>")[0]
    assert going.count("<td>mangge</td>") == 2
    assert "&lt;b&gt;remark&lt;/b&gt;" in going
    assert "<script>alert" not in answer.text
    assert "&lt;script&gt;alert(1)" in answer.text, "what the person called it"
    (kept,) = [path.relative_to(folder).as_posix() for path in folder.rglob("*.xlsx")]
    assert kept.startswith(f"{BATCH}/confirmed-{BATCH}-")
    assert f"<b>{folder}/{kept}</b>" in answer.text, "as mails name it"
    assert doings.runs == []
    assert [note[:3] for note in doings.notes] == [("operations_upload", "points_downline", "requester")]


@pytest.mark.parametrize(("pressed", "dry_run"), [("yes", True), ("no", False), ("", True)])
def test_the_button_starts_the_downline_as_the_person(
    sources: Sources, folder: Path, review: Path, pressed: str, dry_run: bool
) -> None:
    doings = Doings()
    person = reader(sources, role("points_operator"), doings)
    checked = upload(person, filled(review)).text
    name = checked.split('name="workbook" value="')[1].split('"')[0]
    answer = send(person, checked, "files/downline", {"workbook": name, "dry_run": pressed})
    assert answer.status_code == 200
    assert 'href="/dags/points_downline/runs/manual__1"' in answer.text
    assert doings.runs == [("points_downline", {"workbook": f"{folder}/{name}", "dry_run": dry_run}, "points_operator")]
    assert (folder / name).is_file()


@pytest.mark.parametrize("content", [b"", b"<html>", b"PK\x03\x04 cut"])
def test_what_is_no_workbook_is_refused_and_not_kept(sources: Sources, folder: Path, content: bytes) -> None:
    doings = Doings()
    answer = upload(reader(sources, None, doings), content)
    assert answer.status_code == 422
    assert "The workbook is refused" in answer.text
    assert "the file" in answer.text.split('id="refused"')[1].split("</section>")[0]
    assert list(folder.rglob("*")) == []
    assert doings.notes == []
    assert "files/downline" not in answer.text, "there is nothing to start"


def test_each_wrong_row_is_named(sources: Sources, folder: Path, review: Path) -> None:
    answer = upload(reader(sources), filled(review, reviewer=""))
    problems = answer.text.split('id="refused"')[1].split("</section>")[0]
    assert problems.count("without a reviewer") == 2
    assert f'<td class="n">{FIRST_DATA_ROW}</td>' in problems
    assert list(folder.rglob("*")) == []


def test_a_batch_that_went_on_is_refused_here_too(world: World, sources: Sources, review: Path) -> None:
    world.sql("governance", "UPDATE points_lifecycle.batch SET state = 'cleaned' WHERE batch_id = %s", BATCH)
    answer = upload(reader(sources), filled(review))
    world.sql("governance", "UPDATE points_lifecycle.batch SET state = 'reported' WHERE batch_id = %s", BATCH)
    assert answer.status_code == 422
    assert "its decisions can no longer change" in answer.text


@pytest.mark.parametrize("name", ["../secret", "b1/review-b1.xlsx", "", "x" * 999, "b1/confirmed-b1-00000000000a.xlsx"])
def test_nothing_else_can_be_started(sources: Sources, folder: Path, name: str) -> None:
    (folder / "b1").mkdir()
    (folder / "b1" / "review-b1.xlsx").write_bytes(b"x")
    doings = Doings()
    person = reader(sources, None, doings)
    answer = send(person, person.get("files").text, "files/downline", {"workbook": name, "dry_run": "no"})
    assert answer.status_code == 404
    assert doings.runs == []


def test_who_may_not_trigger_sees_files_and_no_upload(sources: Sources, folder: Path) -> None:
    (folder / "b1").mkdir()
    (folder / "b1" / "audit-b1.jsonl").write_text("{}")
    page = reader(sources, role("points_approver")).get("files?lang=en").text
    assert 'type="file"' not in page
    assert "takes the right to trigger points_downline" in page
    assert "name=b1%2Faudit-b1.jsonl" in page


def test_downloads_are_exactly_what_the_list_shows(sources: Sources, folder: Path) -> None:
    (folder / "b1").mkdir()
    (folder / "b1" / "审计 & (a).jsonl").write_text("{}")
    (folder / "b1" / '<script>alert(1)<".jsonl').write_text("{}")
    (folder / "b1" / os.fsdecode(b"\xe9.jsonl")).write_text("{}")
    (folder.parent / "outside.txt").write_text("secret")
    (folder / "b1" / "link.txt").symlink_to(folder.parent / "outside.txt")
    person = reader(sources)
    answer = person.get("files/workbooks", params={"name": "b1/审计 & (a).jsonl"})
    assert answer.content == b"{}"
    assert answer.headers["Content-Type"] == "application/x-ndjson"
    disposition = "attachment; filename*=UTF-8''%E5%AE%A1%E8%AE%A1%20%26%20%28a%29.jsonl"
    assert answer.headers["Content-Disposition"] == disposition
    assert answer.headers["X-Content-Type-Options"] == "nosniff"
    page = person.get("files?lang=en").text
    assert "<script>alert" not in page
    assert "link.txt" not in page
    assert "More files are not listed (older ones, or ones whose name no artifact can have): 2" in page
    refused = ("../outside.txt", str(folder.parent / "outside.txt"), "b1", "", "b1/%2e%2e/x", "x\0y", "b1/link.txt")
    for name in (*refused, '<script>alert(1)<".jsonl'):
        assert person.get("files/workbooks", params={"name": name}).status_code == 404, name


def test_reports_take_their_own_right(sources: Sources, folder: Path) -> None:
    (folder / "reports").mkdir()
    (folder / "reports" / "daily_2026-03-01.html").write_text("<p>report</p>")
    report = "reports/daily_2026-03-01.html"
    everybody, others = reader(sources), reader(sources, rights_of(may_read=lambda dag_id: dag_id != "weekly_audit"))
    assert "files/reports?name=reports%2Fdaily_2026-03-01.html" in everybody.get("files").text
    answer = everybody.get(f"files/reports?name={report}")
    assert answer.headers["Content-Disposition"].startswith("attachment")
    assert "daily_2026-03-01" not in others.get("files").text
    assert others.get(f"files/reports?name={report}").status_code == 403
    for way_round in (report, f"./{report}", f"b1/../{report}", f"{folder}/{report}"):
        assert others.get("files/workbooks", params={"name": way_round}).status_code == 404, way_round


@pytest.fixture
def bucket(world: World) -> Iterator[ObjectStore]:
    with object_store("gs") as store, artifacts_at(store.address, **store.connection):
        yield store


def test_a_bucket_is_listed_downloaded_and_takes_what_is_uploaded(
    world: World, bucket: ObjectStore, review: Path
) -> None:
    artifacts.keep("b1/审计-b1.jsonl", b"{}" * 200_000)
    artifacts.keep("reports/daily.html", b"<p>")
    doings = Doings()
    person = reader(sources_of(world, store=the_artifacts), role("points_operator"), doings)
    page = person.get("files?lang=en").text
    assert "name=b1%2F%E5%AE%A1%E8%AE%A1-b1.jsonl" in page
    assert "391 KiB" in page
    assert f"<code>gs://{BUCKET}/drawsguard/</code>" in page, "what mails begin with, without the connection"
    assert person.get("files/workbooks", params={"name": "b1/审计-b1.jsonl"}).content == b"{}" * 200_000
    assert person.get("files/reports?name=reports/daily.html").content == b"<p>"
    filled_once = filled(review)
    checked = upload(person, filled_once).text
    name = checked.split('name="workbook" value="')[1].split('"')[0]
    assert artifacts.exists(name)
    assert send(person, checked, "files/downline", {"workbook": name, "dry_run": "yes"}).status_code == 200
    address = f"gs://{BUCKET}/drawsguard/{name}"
    assert f"<b>{address}</b>" in checked, "without the connection"
    assert doings.runs == [("points_downline", {"workbook": address, "dry_run": True}, "points_operator")]
    assert doings.notes[0][3]["workbook"] == address
    with find_workbook(address) as found:
        assert found.read_bytes() == filled_once


def test_a_store_that_does_not_answer_is_said_with_what_to_do(
    world: World, folder: Path, sources: Sources, review: Path
) -> None:
    (folder / "b1").mkdir()
    (folder / "b1" / "a.txt").write_text("x")
    doings = Doings()
    person = reader(sources, None, doings)
    shown = person.get("files?lang=en").text
    name = f"{BATCH}/confirmed-{BATCH}-0123456789ab.xlsx"
    with artifacts_at("/proc/nowhere"):
        answers = [
            person.get("files/workbooks?name=b1/a.txt&lang=en"),
            send(person, shown, "files/check?lang=en", {}, files={"workbook": (NAME, filled(review))}),
            reader(sources).get("files?lang=en"),
        ]
        missing = send(person, shown, "files/downline", {"workbook": name, "dry_run": "no"})
    for answer in answers[1:]:
        assert answer.status_code == 503
        assert "the store of artifacts (artifacts_address) does not answer" in answer.text
        assert "the DAG preflight what to do" in answer.text
        assert "Traceback" not in answer.text
        assert "/proc/nowhere" not in answer.text, "the log has it"
    assert (answers[0].status_code, missing.status_code) == (404, 404), "a folder says that a file is not there"
    assert (doings.runs, doings.notes) == ([], [])


def test_what_was_found_in_a_workbook_is_said_although_the_files_cannot_be_listed(
    sources: Sources, folder: Path, review: Path
) -> None:
    def unlisted(depth: int) -> Listing:
        raise ConnectionRefusedError(depth)

    store: Any = SimpleNamespace(**vars(artifacts) | {"listing": unlisted})
    token_page = reader(sources).get("files").text
    answer = send(
        reader(replace(sources, artifacts=lambda: store)), token_page, "files/check?lang=en", {},
        files={"workbook": (NAME, filled(review))},
    )  # fmt: skip
    assert answer.status_code == 200
    assert "The workbook is accepted" in answer.text
    assert "The files cannot be listed at the moment" in answer.text
    assert "There is no file yet" not in answer.text
