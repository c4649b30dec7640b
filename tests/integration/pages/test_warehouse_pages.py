"""The pages of draws and alerts on the emulator: an empty warehouse, a day of draws, and one that does not answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.monitoring.known_bill import BilledPeriod
from drawsguard.pages.alerts_routes import ACTIONS
from drawsguard.pages.draws_routes import month_of
from drawsguard.pages.site import Rights, Sources
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.monitoring.test_monitoring_views import MIGRATIONS
from tests.integration.pages_world import (
    Doings,
    make_alerts,
    make_draws,
    make_identity,
    no_artifacts,
    no_client,
    reader,
    role,
    send,
)

pytestmark = pytest.mark.integration


@contextmanager
def nowhere(*_: str) -> Iterator[Any]:
    raise ConnectionRefusedError("not of this page")
    yield


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, *MIGRATIONS) as client:
        yield client


def reading(warehouse: Any, bills: Callable[[datetime], Any] = lambda _: ()) -> Sources:
    return Sources(nowhere, nowhere, lambda _: [], warehouse, lambda _: {}, no_artifacts, bills)


def page_of(
    warehouse: Any, status: int = 200, path: str = "draws", rights: Rights | None = None, query: str = "?lang=en"
) -> str:
    answer = reader(reading(warehouse), rights).get(f"{path}{query}")
    assert answer.status_code == status, answer.text
    return " ".join(answer.text.split())


def test_an_empty_warehouse_is_nothing_good(client: Client) -> None:
    page = page_of(lambda: client)
    assert page.count('<p class="badge empty">no draws</p>') == 4
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
    flawed = re.findall(r'href="/operations/draws/hour\?at=([0-9T-]+)" aria-label="([^"]+)"', page)
    assert len(flawed) == 1
    assert flawed[0][1].endswith(", 2 missing")
    kept = page.split('id="kept"')[1].split("</section>")[0]
    assert "error budget left" in kept
    assert kept.count('<tr><th scope="row">') == 2, "two business days"
    hour = page_of(lambda: client, path=f"draws/hour?at={flawed[0][0]}&", query="lang=en")
    assert "Missing 2: 1200, 1201" in hour
    assert '<th scope="row" class="n">1202</th>' in hour
    views = page.split(">Views</h3>")[1].split("</li>")[0]
    assert "fresh" in views


def test_the_bill_of_the_month_is_what_the_inspections_found(client: Client) -> None:
    month = month_of(datetime.now(UTC))
    asked: list[datetime] = []

    def found(since: datetime) -> list[BilledPeriod]:
        asked.append(since)
        return [BilledPeriod(since, since + timedelta(days=1), 40 << 30)]

    def kept(bills: Callable[[datetime], Any]) -> str:
        answer = reader(reading(lambda: client, bills)).get("draws?lang=en")
        return " ".join(answer.text.split()).split('id="kept"')[1].split("</section>")[0]

    known = kept(found)
    assert asked == [month]
    assert "40.00 GiB" in known
    assert re.search(r'class="figure bad">.{0,120}1240 GiB.*budget 1,024 GiB', known), "a month at this rate"
    assert "what daily_inspection has found for 1 days" in known
    unknown = kept(lambda _: ())
    assert "is not known yet" in unknown
    assert "budget" not in unknown.replace("error budget", ""), "the sync's share is not held against it"


def test_an_hour_without_draws_and_one_that_is_none(client: Client) -> None:
    assert "There is no draw in this hour." in page_of(
        lambda: client, path="draws/hour?at=2020-01-01T05&", query="lang=en"
    )
    assert "The address is not complete" in page_of(lambda: client, 422, "draws/hour?at=%3Cscript%3E&", query="lang=en")


def test_a_warehouse_that_does_not_answer_is_said_in_each_part(client: Client) -> None:
    page = page_of(no_client, 503)
    assert page.count("BigQuery does not answer; it is tried again: ConnectionRefusedError") == 7
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
    assert 'action="/operations/alerts/acknowledge"' not in first, "it is acknowledged"
    assert 'action="/operations/alerts/mute"' in first
    assert second.startswith('p1"')
    assert "&lt;script&gt;alert(1)" in second
    assert "muted until" in second
    assert 'action="/operations/alerts/acknowledge"' in second
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


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("draws_operator", {"acknowledge"}),
        ("points_approver", set()),
        ("duty_manager", {"acknowledge", "mute", "resolve"}),
    ],
)
def test_a_role_is_shown_what_it_may_do(client: Client, name: str, shown: set[str]) -> None:
    page = page_of(lambda: client, path="alerts", rights=role(name))
    second = page.split('<article class="alert ')[2]
    assert {action.name for action in ACTIONS if f'action="/operations/alerts/{action.name}"' in second} == shown
    assert ("takes the right to trigger" in page) == (not shown)


def test_an_action_starts_its_dag_as_the_person_who_is_signed_in(client: Client) -> None:
    doings = Doings()
    person = reader(reading(lambda: client), role("duty_manager"), doings)
    shown = person.get("alerts?lang=en").text
    key = "task:draw_sync.sync"
    answer = send(person, shown, "alerts/acknowledge", {"key": key, "note": "on it"})
    assert answer.status_code == 200
    assert 'href="/dags/alert_acknowledge/runs/manual__1"' in answer.text
    fields = {"key": key, "note": "works on the line", "hours": "2.5"}
    assert send(person, shown, "alerts/mute", fields).status_code == 200
    assert send(person, shown, "alerts/mute", {"key": key, "hours": "0"}).status_code == 200
    assert doings.runs == [
        ("alert_acknowledge", {"key": key, "note": "on it"}, "duty_manager"),
        ("alert_mute", {"key": key, "reason": "works on the line", "hours": 2.5}, "duty_manager"),
        ("alert_mute", {"key": key, "reason": "", "hours": 0.0}, "duty_manager"),
    ]


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"key": "", "note": "a reason that explains", "hours": "1"}, "The key of the alert is missing"),
        ({"key": "task:a.b", "note": "short", "hours": "1"}, "at least 10 characters"),
        ({"key": "task:a.b", "note": "x" * 1001, "hours": "1"}, "At most 1000 characters"),
        ({"key": "task:a.b", "note": "a reason that explains", "hours": "169"}, "A mute lasts 0 to"),
        ({"key": "task:a.b", "note": "a reason that explains", "hours": "nan"}, "A mute lasts 0 to"),
        ({"key": "task:a.b", "note": "a reason that explains", "hours": "<b>"}, "&lt;b&gt;"),
    ],
)
def test_what_the_dag_would_refuse_is_not_started(client: Client, fields: dict[str, str], said: str) -> None:
    doings = Doings()
    person = reader(reading(lambda: client), None, doings)
    answer = send(person, person.get("alerts?lang=en").text, "alerts/mute", fields)
    assert answer.status_code == 409
    assert said in answer.text
    assert doings.runs == []


# --- identity -------------------------------------------------------------------------------------------------
def test_services_without_any_result_are_not_whole(client: Client) -> None:
    page = page_of(lambda: client, path="identity")
    assert page.count('<span class="badge empty">not made</span></td>') == 28, "four services, seven checks each"
    assert "There is no new result" in page
    assert "None turned." in page


def test_a_service_is_told_with_its_findings_changes_and_repair(client: Client) -> None:
    make_identity(client, datetime.now(UTC))
    page = page_of(lambda: client, path="identity")
    checks = page.split('id="services"')[1].split("</section>")[0]
    assert checks.count('<span class="badge stale">fails</span>') == 1
    assert checks.count('<span class="badge empty">not made</span>') == 1, "what is three hours old is none"
    collector = page.split('id="service-collector"')[1].split("</article>")[0]
    assert "<b>account_disabled</b>: expected enabled; actual &lt;script&gt;alert(1)" in collector
    assert "+ enable collector" in collector
    assert collector.index("<b>planned</b> requester") < collector.index("<b>approved</b> approver")
    assert 'href="/dags/oidc_repair/runs/manual__1"' in collector
    assert 'href="/dags/oidc_repair"' in collector
    turns = page.split('id="turns"')[1].split("</section>")[0]
    assert turns.count('<tr><th scope="row"') == 1
    assert "pass</span> → <span" in turns
    changes = page.split('id="changes"')[1]
    assert "DisableServiceAccount" in changes
    assert "someone@example.com" in changes
    assert "<script>alert" not in page


def test_identities_that_cannot_be_read_are_not_whole(client: Client) -> None:
    page = page_of(no_client, 503, "identity")
    assert page.count("BigQuery does not answer; it is tried again") == 3
    assert "pass</span>" not in page
