"""The pages as people see them: both languages and themes, on a phone, in Airflow's frame, by keyboard.

``SCREENSHOTS=<folder>`` keeps a picture of every page.
"""

from __future__ import annotations

import os
import shutil
import socket
import threading
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import uvicorn
from fastapi import FastAPI
from playwright.sync_api import Browser, Page, sync_playwright

from drawsguard.pages.application import PAGES, PREFIX
from drawsguard.points.database import close
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS
from tests.integration.pages_world import (
    WAITING,
    in_airflow,
    make_alerts,
    make_batches,
    make_draws,
    make_evidence,
    sources_of,
)
from tests.integration.points_world import new_world, small_world

pytestmark = pytest.mark.integration

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Nothing but the page itself: no sandbox inside a container, no updates.
BROWSER_OPTIONS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]
#: What a page is asked for.
ASKED = {"point": "&id=1"}
WIDE, PHONE = {"width": 1360, "height": 900}, {"width": 390, "height": 800}


@pytest.fixture(scope="module")
def address(stack: Any) -> Iterator[str]:
    """The pages on loopback, with something on each of them."""
    world = new_world(stack.require("mysql", "bigquery").config)
    world.load(*small_world())
    make_batches(world)
    make_evidence(world)
    with draws_warehouse(stack, *MIGRATIONS) as client:
        make_draws(client, datetime.now(UTC))
        make_alerts(client, datetime.now(UTC))
        yield from served(in_airflow(sources_of(world, [WAITING], lambda: client)))
    close(world.governance)


def served(app: FastAPI) -> Iterator[str]:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    server = uvicorn.Server(uvicorn.Config(app, port=port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.05)
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        opened = playwright.chromium.launch(executable_path=executable, args=BROWSER_OPTIONS)
        yield opened
        opened.close()


def listened(browser: Browser, complaints: list[str], **options: Any) -> Page:
    """Return a page whose console and network are listened to."""
    page = browser.new_context(**options).new_page()
    page.on("console", lambda said: complaints.append(said.text) if said.type in ("error", "warning") else None)
    page.on("pageerror", lambda error: complaints.append(str(error)))
    page.on("requestfailed", lambda request: complaints.append(f"{request.url} failed"))
    return page


def picture(page: Page, name: str) -> None:
    if folder := os.environ.get("SCREENSHOTS"):
        page.screenshot(path=Path(folder) / f"{name}.png", full_page=True)


@pytest.mark.parametrize("path", [page.path for page in PAGES])
def test_a_page_is_calm_in_both_languages_and_themes_and_on_a_phone(path: str, address: str, browser: Browser) -> None:
    complaints: list[str] = []
    seen = {}
    for theme in ("light", "dark"):
        page = listened(browser, complaints, color_scheme=theme, viewport=WIDE)
        for language in ("zh", "en"):
            page.goto(f"{address}{PREFIX}/{path}?lang={language}{ASKED.get(path, '')}")
            picture(page, f"{path}-{language}-{theme}")
            seen[language, theme] = page.locator("h1").inner_text()
        assert page.evaluate("getComputedStyle(document.body).backgroundColor") == {
            "light": "rgb(246, 247, 246)", "dark": "rgb(18, 23, 21)",
        }[theme]  # fmt: skip
    assert seen["zh", "light"] != seen["en", "light"]
    phone = listened(browser, complaints, viewport=PHONE)
    phone.goto(f"{address}{PREFIX}/{path}?lang=zh{ASKED.get(path, '')}")
    picture(phone, f"{path}-phone")
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
    page.route("**/operations/points", lambda route: route.abort())
    page.clock.run_for(21_000)
    page.get_by_text("与服务器的连接中断").wait_for()
