"""The pages of draws and alerts on the emulator: an empty warehouse, a day of draws, and one that does not answer."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.pages.application import Sources
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS
from tests.integration.pages_world import make_alerts, make_draws, no_client, reader

pytestmark = pytest.mark.integration


@contextmanager
def nowhere(*_: str) -> Iterator[Any]:
    raise ConnectionRefusedError("not of this page")
    yield


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, *MIGRATIONS) as client:
        yield client


def page_of(warehouse: Any, status: int = 200, path: str = "draws") -> str:
    answer = reader(Sources(nowhere, nowhere, lambda _: [], warehouse, lambda _: {})).get(f"{path}?lang=en")
    assert answer.status_code == status, answer.text
    return " ".join(answer.text.split())


def test_an_empty_warehouse_is_nothing_good(client: Client) -> None:
    page = page_of(lambda: client)
    assert page.count('<p class="badge empty">no draws</p>') == 3
    assert "No interval was synced yet." in page
    assert "No draw within 26 hours." in page
    assert 'class="done"' not in page
    assert 'class="complete" x=' not in page


def test_a_day_of_draws_is_shown_with_what_is_wrong(client: Client) -> None:
    make_draws(client, datetime.now(UTC))
    page = page_of(lambda: client)
    assert page.count('<p class="badge fresh">fresh</p>') + page.count('<p class="badge late">') >= 2
    assert page.count('<rect class="unrun" x=') == 2, "intervals that did not run"
    assert "2 missing" in page
    assert "1 + 2 + 3" in page
    assert "Days with missing draws (1)" in page
    letters = page.split('id="letters"')[1].split("</section>")[0]
    assert '<span class="badge late">waiting</span>' in letters
    assert "&lt;script&gt;alert(1)" in letters
    assert "<script>alert" not in page


def test_a_warehouse_that_does_not_answer_is_said_in_each_part(client: Client) -> None:
    page = page_of(no_client, 503)
    assert page.count("BigQuery does not answer; it is tried again: ConnectionRefusedError") == 6
    assert "no BigQuery in this test" not in page


# --- alerts ---------------------------------------------------------------------------------------------------
def test_no_alert_is_said(client: Client) -> None:
    page = page_of(lambda: client, path="alerts")
    assert "No alert is open." in page
    assert "None." in page


def test_an_open_alert_says_what_it_means_and_what_to_do_first(client: Client) -> None:
    make_alerts(client, datetime.now(UTC))
    page = page_of(lambda: client, path="alerts")
    first, second = page.split('<article class="alert ')[1:]
    assert first.startswith('p0"')
    assert "Sync has stopped: the business table is three draws or more behind" in first
    assert "acknowledged by requester" in first
    assert "Look at the newest run of draw_sync" in first
    assert "/docs/runbooks/en/data-stale.md" in first
    assert 'href="/dags/alert_acknowledge"' not in first
    assert 'href="/dags/alert_mute"' in first
    assert second.startswith('p1"')
    assert "&lt;script&gt;alert(1)" in second
    assert "muted until" in second
    assert 'href="/dags/alert_acknowledge"' in second
    assert 'href="/dags/draw_sync"' in second
    assert "<dt>nobody has taken</dt><dd>0</dd>" in page
    past = page.split('id="past"')[1]
    assert "<td>1 h</td>" in past
    assert past.count("<small>sla:draw_sync</small>") == 1, "what was resolved 49 days ago is not shown"
    assert "<script>alert" not in page


def test_alerts_that_cannot_be_read_are_not_none(client: Client) -> None:
    page = page_of(no_client, 503, "alerts")
    assert "BigQuery does not answer" in page
    assert "No alert is open" not in page
