"""Rows that are loaded: once, whatever is repeated; all of them or none; and listed at once."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest
from google.cloud.bigquery import Client

from drawsguard.settings import get_settings
from drawsguard.warehouse import loading
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.loading import load
from tests.integration.draws_warehouse import draws_warehouse

pytestmark = pytest.mark.integration

NOW = datetime(2026, 3, 3, 1, 5, tzinfo=UTC)
LABELS = {"dag": "oidc_checks", "task": "check"}


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    with draws_warehouse(stack, "V041__check_log") as client:
        yield client


def result(run_id: str, number: Any = 1) -> dict[str, Any]:
    return {
        "run_id": run_id, "service": "collector", "check_number": number, "check_name": "account", "checked_at": NOW,
        "status": "pass", "findings": "[]",
    }  # fmt: skip


def listed(client: Client) -> list[tuple[str, int]]:
    """What is listed without a query, which streamed rows are not."""
    table = client.get_table(get_settings().table("monitor", "identity_check_log").strip("`"))
    return sorted((row["run_id"], row["check_number"]) for row in client.list_rows(table))


def test_what_is_loaded_twice_is_there_once(client: Client) -> None:
    rows = [result("once", number) for number in (1, 2)]
    for _ in range(2):
        load(client, "identity_check_log", rows, "once", LABELS)
    load(client, "identity_check_log", [result("another")], "another", LABELS)
    load(client, "identity_check_log", [], "none", LABELS)
    assert listed(client) == [("another", 1), ("once", 1), ("once", 2)]


def test_another_task_with_the_run_id_loads_its_own(client: Client) -> None:
    """The runs of two DAGs with one schedule have one id, and one checks some of the services of the other."""
    before = listed(client)
    for labels in (LABELS, {"dag": "draw_sync", "task": "check_identity"}, LABELS):
        load(client, "identity_check_log", [result("shared")], "shared", labels)
    assert listed(client) == sorted([*before, *2 * [("shared", 1)]])


def test_rows_of_which_one_is_refused_are_not_there_and_their_repetition_is_tried(client: Client) -> None:
    before = listed(client)
    with pytest.raises(StatementError, match=r"load into identity_check_log .*job identity_check_log_\w+_1\)"):
        load(client, "identity_check_log", [result("bad"), result("bad", "two")], "bad", LABELS)
    assert listed(client) == before
    load(client, "identity_check_log", [result("bad"), result("bad", 2)], "bad", LABELS)
    assert listed(client) == sorted([*before, ("bad", 1), ("bad", 2)])


def test_a_load_whose_answer_was_lost_is_not_repeated(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    before, genuine = listed(client), loading._job

    def lost(*arguments: Any) -> Any:
        genuine(*arguments)[0].result()
        raise ConnectionError("the answer was lost")

    with monkeypatch.context() as patch:
        patch.setattr(loading, "_job", lost)
        with pytest.raises(StatementError, match="the answer was lost"):
            load(client, "identity_check_log", [result("lost")], "lost", LABELS)
    load(client, "identity_check_log", [result("lost")], "lost", LABELS)
    assert listed(client) == sorted([*before, ("lost", 1)])
