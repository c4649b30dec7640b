"""A refused request on its way: a task of Airflow fails, its callback mails the person; SMTP sink, emulator."""

from __future__ import annotations

import mailbox
from collections.abc import Iterator
from datetime import UTC, datetime
from email.header import decode_header, make_header
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.sdk import DAG
from google.cloud.bigquery import Client

from drawsguard.draws.window import InvalidRangeError
from drawsguard.points.review.batch_repository import BatchStateError
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.points.downline.points_confirm_operator import PointsConfirmOperator
from tests.integration.draws_warehouse import draws_warehouse, rows, truncate

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def client(stack: Any) -> Iterator[Client]:
    stack.require("smtp")
    with draws_warehouse(stack, "V040__alert_log", "V041__check_log") as client:
        yield client


@pytest.fixture
def box(client: Client, stack: Any) -> mailbox.Maildir:
    """An empty mail box, and no signals."""
    truncate(client, ("monitor", "alert_signal"))
    box = mailbox.Maildir(stack.config.directory("smtp") / "maildir", create=True)
    for key in list(box.keys()):
        box.remove(key)
    return box


def fail(error: BaseException, *, person: str | None = "requester", run_type: str = "manual") -> None:
    """Call what Airflow calls when a task of a points DAG has failed for good."""
    task = SimpleNamespace(
        dag_id="points_downline", task_id="read_workbook", run_id=f"{run_type}__1", map_index=-1, try_number=1
    )
    now = datetime(2025, 10, 3, 1, 5, tzinfo=UTC)
    run = SimpleNamespace(
        run_type=run_type, triggering_user_name=person, data_interval_start=now, data_interval_end=now,
        dag_id=task.dag_id, run_id=task.run_id,
    )  # fmt: skip
    dag = DAG(task.dag_id, schedule=None, tags={"tier:0", "points"}, doc_md="A failure means that it stopped.")
    callback = task_defaults("points-team")["on_failure_callback"]
    callback({"ti": task, "dag_run": run, "dag": dag, "exception": error, "params": {"workbook": "wrong.xlsx"}})


def fired(client: Client) -> list[str]:
    return [row["alert_key"] for row in rows(client, f"SELECT alert_key FROM {_signals()}")]


def _signals() -> str:
    return get_settings().table("monitor", "alert_signal")


def test_a_wrong_workbook_is_mailed_to_the_person_and_no_alert(client: Client, box: mailbox.Maildir) -> None:
    operator = PointsConfirmOperator(task_id="read_workbook", workbook="wrong.xlsx\0" + "x" * 5000)
    with pytest.raises(RefusedError, match="There is no workbook") as caught:
        operator.execute({"dag_run": SimpleNamespace(triggering_user_name="requester")})  # type: ignore[typeddict-item]
    fail(caught.value)
    (mail,) = box
    assert mail["To"] == "requester@example.com"
    assert mail["Cc"] == "points-oncall@example.com"
    assert "Request refused: points_downline" in str(make_header(decode_header(mail["Subject"])))
    text = "".join(
        part.get_payload(decode=True).decode() for part in mail.walk() if part.get_content_type() == "text/html"
    )
    for part in (
        "There is no workbook", "trigger a new run", "wrong.xlsx",
        "/dags/points_downline/runs/manual__1/tasks/read_workbook", "/runbooks/zh/request-refused.md",
    ):  # fmt: skip
        assert part in text, part
    assert fired(client) == []


def test_a_person_whose_name_makes_no_address_is_told_through_the_team(box: mailbox.Maildir) -> None:
    fail(BatchStateError("Batch 'x' is not known."), person="evil@attacker.example,bob")
    (mail,) = box
    assert (mail["To"], mail["Cc"]) == ("points-oncall@example.com", None)


@pytest.mark.parametrize(
    ("error", "run_type", "person"),
    [
        (InvalidRangeError("a refusal of a scheduled run"), "scheduled", None),
        (ConnectionError("a failure of a person's run"), "manual", "requester"),
    ],
)
def test_everything_else_stays_an_alert(
    client: Client, box: mailbox.Maildir, error: Exception, run_type: str, person: str | None
) -> None:
    fail(error, run_type=run_type, person=person)
    assert fired(client) == ["task:points_downline.read_workbook"]
    assert len(box) == 0
