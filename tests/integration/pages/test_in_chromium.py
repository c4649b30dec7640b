"""The pages as people see them: both languages and themes, on a phone, in Airflow's frame, by keyboard.

``SCREENSHOTS=<folder>`` keeps pictures of every page: ``make screenshots``. axe-core judges each for people who do not
see, or see and move differently (local/axe/install.sh).
"""

from __future__ import annotations

import base64
import os
import shutil
import socket
import threading
import time
from collections.abc import Generator, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import uvicorn
from fastapi import FastAPI
from openpyxl import load_workbook
from playwright.sync_api import Browser, ConsoleMessage, Frame, Page, Request, sync_playwright

from drawsguard.pages.answers import PREFIX
from drawsguard.pages.catalogue import PAGES
from drawsguard.pages.site import Sources
from drawsguard.points.database import close
from drawsguard.points.review.candidate import EVIDENCE_COLUMNS, FIRST_DATA_ROW, Decision
from drawsguard.points.review.classify import PointClass
from drawsguard.points.review.workbook import ReviewHead, write_review
from drawsguard.settings import REPOSITORY
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS
from tests.integration.pages_world import (
    HOSTILE,
    WAITING,
    Doings,
    artifacts_at,
    in_airflow,
    make_alerts,
    make_batches,
    make_draws,
    make_evidence,
    make_identity,
    role,
    sources_of,
    the_artifacts,
)
from tests.integration.points_world import BATCH, new_world, small_world

pytestmark = pytest.mark.integration

AXE = REPOSITORY / ".local" / "axe" / "axe.min.js"
#: A batch whose workbook nobody has confirmed.
UNDECIDED = "open1"

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Nothing but the page itself: no sandbox inside a container, no updates.
BROWSER_OPTIONS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
#: What a page is asked for.
ASKED = {"point": "&id=1"}
WIDE, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Where the artifacts lie."""
    made = tmp_path_factory.mktemp("files")
    with artifacts_at(str(made)):
        yield made


@pytest.fixture(scope="module")
def sources(stack: Any, folder: Path) -> Iterator[Sources]:
    """Something on each page; names and descriptions are hostile where people write them."""
    world = new_world(stack.require("mysql", "bigquery").config)
    world.load(*small_world())
    make_batches(world)
    make_evidence(world)
    for column in ("people", "description"):
        world.sql("intranet", f"UPDATE define_nosdata_general SET {column} = %s WHERE id = 1", HOSTILE)
    report = world.report()
    for batch in (BATCH, UNDECIDED):
        (folder / batch).mkdir()
        head = ReviewHead(batch, "0" * 64, "intranet", report.window, {})
        if batch == UNDECIDED:
            digest = world.repositories.batches.save_report(batch, "intranet", report.window, report.rows)
            head = replace(head, digest=digest)
        write_review(folder / batch / f"review-{batch}.xlsx", head, report.rows)
    # A name that tasks refuse, and the most that they take.
    (folder / BATCH / f"{HOSTILE.replace('/', '_')}.jsonl").write_text("{}")
    (folder / BATCH / "审计 & (1) = +$!~@.jsonl").write_text("{}")
    with draws_warehouse(stack, *MIGRATIONS) as client:
        make_draws(client, datetime.now(UTC))
        make_alerts(client, datetime.now(UTC))
        make_identity(client, datetime.now(UTC))
        yield sources_of(world, [WAITING], lambda: client, the_artifacts)
    close(world.governance)


@pytest.fixture(scope="module")
def doings() -> Doings:
    return Doings()


@pytest.fixture(scope="module")
def address(sources: Sources, doings: Doings) -> Iterator[str]:
    """The pages on loopback, for somebody who may do everything."""
    yield from served(in_airflow(sources, None, doings))


def served(app: FastAPI) -> Generator[str, None, None]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    try:
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=BROWSER_OPTIONS)
        yield opened
        opened.close()


def _is_complaint(said: ConsoleMessage) -> bool:
    """Whether a page of ours is to blame; how Airflow frames them is not our choice."""
    return said.type in ("error", "warning") and not said.text.startswith("An iframe which has both allow-scripts")


def _failed(request: Request) -> bool:
    """Whether a request failed by itself, and not because the person went on."""
    return request.failure != "net::ERR_ABORTED"


def listened(browser: Browser, complaints: list[str], **options: Any) -> Page:
    """Return a page whose console and network are listened to."""
    page = browser.new_context(**options).new_page()
    page.on("console", lambda said: complaints.append(said.text) if _is_complaint(said) else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url} failed") if _failed(request) else None)
    page.on("dialog", lambda dialog: complaints.append(f"the page ran a script: {dialog.message}"))
    return page


def barriers(page: Page | Frame) -> list[str]:
    """What axe-core finds on a page that is serious for somebody."""
    page.evaluate(AXE.read_text("utf-8"))
    found = page.evaluate("async () => (await axe.run()).violations")
    return [
        f"{one['id']}: {one['help']} ({node['html'][:120]})"
        for one in found
        if one["impact"] in ("serious", "critical")
        for node in one["nodes"][:3]
    ]


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


def whole_picture(page: Page, name: str) -> None:
    """Take a picture of what Airflow's frame holds, also what is scrolled away."""
    if os.environ.get("SCREENSHOTS"):
        frame = page.locator("iframe")
        height = page.frames[1].evaluate("document.documentElement.scrollHeight")
        frame.evaluate("(one, height) => { one.height = height; }", height)
        frame.screenshot(path=Path(os.environ["SCREENSHOTS"]) / f"{name}.png")


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_page_is_calm_in_both_languages_and_themes_and_on_a_phone(path: str, address: str, browser: Browser) -> None:
    complaints: list[str] = []
    seen = {}
    for theme in ("light", "dark"):
        page = listened(browser, complaints, color_scheme=theme, viewport=WIDE)
        for language in ("zh", "en"):
            page.goto(f"{address}{PREFIX}/{path}?lang={language}{ASKED.get(path, '')}")
            if (language, theme) in (("zh", "light"), ("en", "dark")):
                if language == "zh":
                    picture(page, f"operations-{path}")
                assert barriers(page) == []
            seen[language, theme] = page.locator("h1").inner_text()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == {
            "light": "rgb(246, 247, 246)", "dark": "rgb(18, 23, 21)",
        }[theme]  # fmt: skip
    assert seen["zh", "light"] != seen["en", "light"]
    phone = listened(browser, complaints, viewport=PHONE)
    phone.goto(f"{address}{PREFIX}/{path}?lang=zh{ASKED.get(path, '')}")
    assert barriers(phone) == []
    assert phone.evaluate("document.documentElement.scrollWidth") <= PHONE["width"], "the page scrolls sideways"
    assert complaints == []


def test_a_link_leaves_airflows_frame_and_the_switches_stay_in_it(address: str, browser: Browser) -> None:
    page = listened(browser, [], color_scheme="light", viewport=WIDE)
    page.goto(f"{address}/plugin/operations-points")
    frame = page.frame_locator("iframe")
    frame.get_by_role("link", name="English").click()
    frame.get_by_role("heading", name="Point batches").wait_for()
    frame.get_by_role("button", name="Light / dark").click()
    assert frame.locator("html").get_attribute("data-theme") == "dark"
    frame.get_by_role("link", name="Answer").first.focus()
    page.keyboard.press("Enter")
    page.get_by_role("heading", name="Airflow: points_downline/runs/manual__1").wait_for()
    assert page.url.endswith("/dags/points_downline/runs/manual__1/tasks/countersign_extranet/required_actions")


def test_a_page_updates_itself_and_says_when_it_cannot(address: str, browser: Browser) -> None:
    page = listened(browser, [], viewport=WIDE)
    page.clock.install()
    page.goto(f"{address}{PREFIX}/points")
    page.evaluate("document.querySelector('h1').textContent = 'old'")
    page.clock.run_for(21_000)
    page.get_by_role("heading", name="积分批次").wait_for()
    assert page.locator("h1").inner_text() == "积分批次", "what was changed in the browser alone is gone"
    assert not page.get_by_text("与服务器的连接中断").is_visible()
    page.route("**/operations/points", lambda route: route.abort())
    page.clock.run_for(21_000)
    lost = page.get_by_text("与服务器的连接中断")
    lost.wait_for()
    assert lost.is_visible()


# --- what people do -------------------------------------------------------------------------------------------
def opened(browser: Browser, address: str, path: str) -> tuple[Page, Any, list[str]]:
    """Open a page in Airflow's frame; return it, the frame, and what it complains about."""
    complaints: list[str] = []
    page = listened(browser, complaints, viewport=WIDE)
    page.goto(f"{address}{PREFIX}/{path}?lang=en")
    page.goto(f"{address}/plugin/operations-{path}")
    return page, page.frame_locator("iframe"), complaints


def test_an_alert_is_acknowledged_and_muted_by_keyboard(address: str, browser: Browser, doings: Doings) -> None:
    page, frame, complaints = opened(browser, address, "alerts")
    alert = frame.locator("article").nth(1)
    alert.locator("summary", has_text="Act").focus()
    page.keyboard.press("Enter")
    alert.get_by_label("Remark").focus()
    page.keyboard.type("on it")
    page.keyboard.press("Enter")
    frame.get_by_role("heading", name="Started alert_acknowledge").wait_for()
    assert doings.runs.pop() == ("alert_acknowledge", {"key": "task:draw_sync.sync", "note": "on it"}, "requester")
    frame.get_by_role("link", name="Back to the page").click()
    alert.locator("summary", has_text="Act").click()
    alert.get_by_label("Reason").first.fill("short")
    alert.get_by_role("button", name="Mute").click()
    assert doings.runs == [], "the browser asks for a reason that explains"
    alert.get_by_label("Reason").first.fill("the line is repaired until noon")
    alert.get_by_label("Hours").fill("3")
    alert.get_by_role("button", name="Mute").dblclick()
    frame.get_by_role("heading", name="Started alert_mute").wait_for()
    assert doings.runs == [
        ("alert_mute",
         {"key": "task:draw_sync.sync", "reason": "the line is repaired until noon", "hours": 3.0}, "requester")
    ], "two clicks are one run"  # fmt: skip
    doings.runs.clear()
    frame.get_by_role("link", name="See the run").click()
    page.get_by_role("heading", name="Airflow: alert_mute/runs/manual__1").wait_for()
    assert complaints == []


def test_what_is_typed_stays_while_the_page_updates_itself(address: str, browser: Browser) -> None:
    page = listened(browser, [], viewport=WIDE)
    page.clock.install()
    page.goto(f"{address}{PREFIX}/alerts?lang=en")
    alert = page.locator("article").nth(1)
    alert.locator("summary", has_text="Act").click()
    alert.get_by_label("Remark").fill("half a sen")
    page.locator("h1").click()
    page.clock.run_for(41_000)
    assert alert.get_by_label("Remark").input_value() == "half a sen"


@pytest.mark.parametrize("way", ["chosen", "dropped"])
def test_a_workbook_is_checked_row_by_row_and_then_started(
    way: str, address: str, browser: Browser, doings: Doings, folder: Path, tmp_path: Path
) -> None:
    book = load_workbook(folder / UNDECIDED / f"review-{UNDECIDED}.xlsx")
    sheet = book[PointClass.UNUSED.label]
    sheet.cell(FIRST_DATA_ROW, len(EVIDENCE_COLUMNS) + 1, Decision.DOWNLINE.label)
    book.save(tmp_path / "wrong.xlsx")
    sheet.cell(FIRST_DATA_ROW, len(EVIDENCE_COLUMNS) + 2, HOSTILE)
    book.save(tmp_path / "right.xlsx")
    page, frame, complaints = opened(browser, address, "files")

    def give(name: str) -> None:
        if way == "chosen":
            frame.get_by_label("choose a file").set_input_files(tmp_path / name)
            return
        dropped = page.frames[1].evaluate_handle(
            "([name, text]) => { const held = new DataTransfer();"
            " const bytes = Uint8Array.from(atob(text), (one) => one.charCodeAt(0));"
            " held.items.add(new File([bytes], name)); return held; }",
            [name, base64.b64encode((tmp_path / name).read_bytes()).decode()],
        )
        frame.locator(".drop").dispatch_event("drop", {"dataTransfer": dropped})

    give("wrong.xlsx")
    frame.get_by_role("heading", name="The workbook is refused").wait_for()
    frame.get_by_text("without a reviewer").wait_for()
    if os.environ.get("SCREENSHOTS"):
        sheet.cell(FIRST_DATA_ROW, len(EVIDENCE_COLUMNS) + 2, "wangfang")
        book.save(tmp_path / "wang.xlsx")
        give("wang.xlsx")
        frame.get_by_role("cell", name="wangfang").wait_for()
        whole_picture(page, "operations-checked")
    give("right.xlsx")
    frame.get_by_role("heading", name="The workbook is accepted").wait_for()
    frame.get_by_role("cell", name=HOSTILE).wait_for()
    assert doings.runs == []
    frame.get_by_role("button", name="Dry run").click()
    frame.get_by_role("heading", name="Started points_downline").wait_for()
    ((dag_id, params, person),) = doings.runs
    assert (dag_id, params["dry_run"], person) == ("points_downline", True, "requester")
    assert params["workbook"].startswith(f"{folder}/{UNDECIDED}/confirmed-{UNDECIDED}-")
    doings.runs.clear()
    assert [one for one in complaints if "422" not in one] == [], "the browser notes that the first was refused"


def test_a_restore_is_started_from_its_batch(address: str, browser: Browser, doings: Doings) -> None:
    page, frame, complaints = opened(browser, address, "points")
    frame.get_by_role("link", name=BATCH, exact=True).click()
    frame.get_by_role("heading", name="rows would come back").wait_for()
    assert barriers(page.frames[1]) == []
    frame.get_by_label("Point ids").fill("1, 2")
    whole_picture(page, "operations-batch")
    frame.get_by_role("button", name="Start the restore").click()
    frame.get_by_role("heading", name="Started points_restore").wait_for()
    params = {"batch_id": BATCH, "environment": "intranet", "ids": [1, 2], "dry_run": False}
    assert doings.runs.pop() == ("points_restore", params, "requester")
    assert complaints == []


def test_a_file_is_downloaded_whole(address: str, browser: Browser, folder: Path) -> None:
    page, frame, _ = opened(browser, address, "files")
    frame.locator("summary", has_text=BATCH).first.wait_for()
    for closed in frame.locator("details:not([open]) > summary").all():
        closed.click()
    with page.expect_download() as download:
        frame.get_by_role("link", name=f"review-{BATCH}.xlsx").first.click()
    assert download.value.suggested_filename == f"review-{BATCH}.xlsx"
    stored = folder / BATCH / f"review-{BATCH}.xlsx"
    assert Path(download.value.path()).read_bytes() == stored.read_bytes()


@pytest.mark.parametrize(
    ("name", "may"),
    [
        ("points_operator", {"alerts": {"acknowledge"}, "files": {"check"}}),
        ("points_approver", {"alerts": set(), "files": set()}),
        ("duty_manager", {"alerts": {"acknowledge", "mute", "resolve"}, "files": set()}),
    ],
)
def test_a_role_finds_the_actions_that_it_may_do(
    name: str, may: dict[str, set[str]], sources: Sources, browser: Browser
) -> None:
    with closing(served(in_airflow(sources, role(name)))) as serving:
        address = next(serving)
        page = listened(browser, [], viewport=WIDE)
        for path, actions in may.items():
            page.goto(f"{address}{PREFIX}/{path}?lang=en")
            page.get_by_role("heading", level=1).wait_for()
            forms = [form.get_attribute("action") or "" for form in page.locator("form[method=post]").all()]
            assert {form.rpartition("/")[2] for form in forms} == actions


def test_a_place_of_the_map_of_hours_leads_to_its_draws(address: str, browser: Browser) -> None:
    page, frame, complaints = opened(browser, address, "draws")
    flawed = frame.locator("svg.hours a").first
    flawed.focus()
    page.keyboard.press("Enter")
    frame.get_by_text("Missing 2:").wait_for()
    frame.get_by_role("link", name="Back to the draws").click()
    drawn = frame.locator("svg.hours rect.complete").first
    drawn.scroll_into_view_if_needed()
    drawn.click()
    frame.get_by_role("link", name="Back to the draws").wait_for()
    assert frame.get_by_text("Missing").count() == 0
    assert complaints == []


def test_what_is_hostile_is_text(address: str, browser: Browser) -> None:
    complaints: list[str] = []
    page = listened(browser, complaints, viewport=WIDE)
    for path in ("points", "point?id=1&", "draws", "alerts", "identity"):
        page.goto(f"{address}{PREFIX}/{path}{'' if path.endswith('&') else '?'}lang=en")
        page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
        assert "<script>alert(1)" in page.locator("main").inner_text(), path
    page.goto(f"{address}{PREFIX}/files?lang=en")
    page.evaluate("document.querySelectorAll('details').forEach((one) => { one.open = true; })")
    files = page.locator("main").inner_text()
    assert "审计 & (1) = +$!~@.jsonl" in files
    assert "More files are not listed (older ones, or ones whose name no artifact can have): 1" in files
    page.goto(f"{address}{PREFIX}/point?id={quote(HOSTILE)}")
    assert "<script>alert(1)" in page.locator("main").inner_text()
    assert [one for one in complaints if "400" not in one] == []


def test_the_keyboard_skips_to_the_content(address: str, browser: Browser) -> None:
    page = listened(browser, [], viewport=WIDE)
    page.goto(f"{address}{PREFIX}/alerts?lang=en")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    page.keyboard.press("Enter")
    assert page.evaluate("document.activeElement.id") == "content"
