"""What the mails say, and which runs have a deadline at all."""

from __future__ import annotations

import ast
import asyncio
from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import DAG
from jinja2 import UndefinedError

from deadlines.fresh_interval import FreshIntervalEnd, deadline_start
from drawsguard.points.cleanup.result import OUTCOMES, STATES, CleanupResult
from drawsguard.points.cleanup.ticket_repository import PointResult, StoredTicket
from drawsguard.points.cleanup.ticket_workbook import EXECUTORS
from drawsguard.settings import REPOSITORY
from drawsguard.templates import render_template
from notifiers.points_mail import send_mail
from notifiers.sla_miss import SlaMissMail
from notifiers.task_failure import meaning, task_failure_mail
from notifiers.template_mail import run_url

RUN_ID = "scheduled__2025-10-03T01:05:00+00:00"
END = datetime(2025, 10, 3, 1, 5, tzinfo=UTC)


@pytest.fixture
def sent(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What would go to the SMTP server."""
    mails: list[dict[str, Any]] = []
    monkeypatch.setattr(SmtpHook, "get_conn", lambda self: self)
    monkeypatch.setattr(SmtpHook, "__exit__", lambda *_: None)
    monkeypatch.setattr(SmtpHook, "send_email_smtp", lambda _self, **mail: mails.append(mail))

    async def connect(self: SmtpHook) -> SmtpHook:
        return self

    async def close(*_: object) -> None:
        return None

    async def send(_self: SmtpHook, **mail: Any) -> None:
        mails.append(mail)

    monkeypatch.setattr(SmtpHook, "__aenter__", connect)
    monkeypatch.setattr(SmtpHook, "__aexit__", close)
    monkeypatch.setattr(SmtpHook, "asend_email_smtp", send)
    return mails


def failure(tags: set[str], error: BaseException) -> dict[str, Any]:
    return {
        "dag": DAG("draw_sync", schedule=None, tags=tags, doc_md="A failure means that draws are late.\n\nMore."),
        "dag_run": SimpleNamespace(
            run_type="scheduled", data_interval_start=END - timedelta(minutes=5), data_interval_end=END
        ),
        "ti": SimpleNamespace(
            dag_id="draw_sync",
            task_id="sync",
            run_id="scheduled__2025-10-03T01:05:00+00:00",
            map_index=-1,
            try_number=4,
        ),
        "exception": error,
    }


def test_a_failure_mail_says_what_why_and_where(sent: list[dict[str, Any]]) -> None:
    task_failure_mail(failure({"draws"}, ValueError("a {{ brace }} and <b>markup</b>")))
    (mail,) = sent
    assert mail["to"] == ["draws-oncall@example.com"]
    assert mail["subject"] == "[drawsguard] [P1] 任务失败 Task failed: draw_sync.sync"
    assert mail["custom_headers"] == {"Reply-To": "draws-oncall@example.com"}, "nobody reads the sender's mailbox"
    body = mail["html_content"]
    assert "ValueError: a {{ brace }} and &lt;b&gt;markup&lt;/b&gt;" in body  # neither rendered again nor markup
    assert "A failure means that draws are late." in body
    assert "第 4 次" in body
    assert "/dags/draw_sync/runs/scheduled__2025-10-03T01%3A05%3A00%2B00%3A00/tasks/sync" in body


def test_an_owner_who_replies_reaches_the_points_team(sent: list[dict[str, Any]]) -> None:
    notice = SimpleNamespace(points=(7, 8), days_before=7, owner="lin")
    send_mail("lin@example.com", "cleanup/notice", batch_id="b1", notice=notice, until=END)
    (mail,) = sent
    assert mail["to"] == ["lin@example.com"]
    assert mail["custom_headers"] == {"Reply-To": "points-oncall@example.com"}
    assert "points-oncall@example.com" in mail["html_content"]
    assert "2025-10-03 09:05 北京时间" in mail["html_content"]


@pytest.mark.parametrize(
    ("left", "said"), [("open", "Approve during"), ("handed_over", "Hand them to the DBA"), ("done", "Nothing to do")]
)
def test_tickets_that_are_done_or_withdrawn_are_no_work(sent: list[dict[str, Any]], left: str, said: str) -> None:
    states = [("T", left, "own" if left == "open" else "dba"), ("T/1", "withdrawn", "dba"), ("T/2", "done", "own")]
    tickets = [
        SimpleNamespace(ticket_id=name, state=state, executor=executor, points=1, estimated_keys=None)
        for name, state, executor in states
    ]
    send_mail(
        "lin@example.com", "cleanup/tickets", batch_id="b1", tickets=tickets, executors=EXECUTORS, states=STATES,
        unticketed=0, ahead=[], missing=None, held=[], again=False, until=date(2025, 11, 11),
        run_url="http://ui/run",
    )  # fmt: skip
    body = sent[0]["html_content"]
    work, _, rest = body.partition("Keys (estimate)")[2].partition("</table>")
    assert said in body
    assert "T/1" not in work
    assert "T/2" not in work
    assert (STATES[left] in work) is (left != "done")
    assert "已撤销 withdrawn: T/1" in rest
    assert "The DBA must not run its commands" in rest
    assert "已完成 done: T/2" in rest


def ticket(number: int, state: str, executor: str = "own") -> StoredTicket:
    return StoredTicket(f"b1/c/{number}", "b1", "c", "k", executor, "d", 1, (), None, None, state, None, None, None)


def cleaned(number: int, on: StoredTicket | None, deleted: int = 0, left: int = 0, unconfirmed: int = 0) -> PointResult:
    reason = None if on else "It is served on the extranet."
    return PointResult(number, "c", on and on.ticket_id, reason, None, None, deleted, deleted, left, 0, unconfirmed)


OPEN, INCOMPLETE, WITHDRAWN = ticket(1, "open"), ticket(2, "incomplete"), ticket(3, "withdrawn", "dba")
DONE, OVER = ticket(4, "done"), ticket(5, "handed_over", "dba")


@pytest.mark.parametrize(
    ("points", "more", "outcome", "said"),
    [
        ([cleaned(1, DONE, 7)], {}, "complete", ["Completed", "Nothing to do"]),
        ([cleaned(1, DONE, 7, left=1)], {}, "left", ["Some are left", "next working day"]),
        ([cleaned(1, OPEN)], {}, "open", ["Not finished", "b1/c/1", "待审批 open"]),
        ([cleaned(1, DONE), cleaned(2, INCOMPLETE, 3, unconfirmed=2)], {}, "open", ["b1/c/2", "2 more may have been"]),
        ([cleaned(1, DONE), cleaned(2, WITHDRAWN)], {}, "open", ["b1/c/3", "已撤销 withdrawn", "must not run"]),
        ([cleaned(1, DONE), cleaned(2, OVER)], {}, "open", ["b1/c/5", "points_ticket_done"]),
        ([cleaned(1, DONE), cleaned(2, None)], {}, "waiting", ["Some points have no ticket", "without a ticket: 1"]),
        ([], {}, "waiting", ["0 of 0 points"]),
        ([cleaned(1, None), cleaned(2, None)], {"given_up": {1, 2}}, "ended", ["Ended without some points", "0 of 2"]),
        (
            [cleaned(4711, None), cleaned(2, DONE)], {"given_up": {4711}, "split": {4711}}, "split",
            ["at -80 in one environment", "4711", "points_restore", "Decide"],
        ),
        ([cleaned(1, None, unconfirmed=9)], {"given_up": {1}}, "left", ["9 more may have been", "looked at"]),
    ],
)  # fmt: skip
def test_the_result_is_completed_when_every_point_is_cleaned_and_not_before(
    sent: list[dict[str, Any]], points: list[PointResult], more: dict[str, set[int]], outcome: str, said: list[str]
) -> None:
    known = [OPEN, INCOMPLETE, WITHDRAWN, DONE, OVER]
    on = {point.ticket_id for point in points}
    result = CleanupResult(
        "b1", [each for each in known if each.ticket_id in on], points, [],
        **{name: frozenset(ids) for name, ids in more.items()},
    )  # fmt: skip
    assert result.outcome == outcome
    send_mail(
        "lin@example.com", "cleanup/result", result=result, states=STATES, outcomes=OUTCOMES, run_url="http://ui/run"
    )
    body = sent[0]["html_content"]
    for part in said:
        assert part in body, part
    assert ("Completed" in body) is (outcome == "complete")
    assert ("Nothing to do" in body) is (outcome in ("complete", "ended"))


def use_after_downline(sent: list[dict[str, Any]], **values: Any) -> str:
    """Return the mail about a halt."""
    sign = SimpleNamespace(point_id=1, kind="use", oper_type="upd_eid_1", last_seen=END, times=1)
    none = {"restores": [], "withdrawn": [], "done": [], "deleted": 0, "unconfirmed": 0}
    send_mail(
        "lin@example.com", "downline/use_after_downline", batch_id="b1", signs=[sign], points=[1],
        restore_url="http://ui", **(none | values),
    )  # fmt: skip
    return str(sent.pop()["html_content"])


@pytest.mark.parametrize(
    ("values", "says"),
    [
        ({"deleted": 100000}, "100,000 keys or fields were deleted before"),
        ({"unconfirmed": 20}, "20 more may have been"),
        ({"done": ["b1/redis_mq/dba_whole"]}, "b1/redis_mq/dba_whole"),
        ({"withdrawn": ["b1/redis_mq/dba_whole"]}, "ask the DBA whether any of their commands were run"),
    ],
)
def test_the_mail_of_a_halt_says_what_was_deleted_before_it(
    sent: list[dict[str, Any]], values: dict[str, Any], says: str
) -> None:
    assert "Until now nothing was deleted" in use_after_downline(sent)
    page = use_after_downline(sent, **values)
    assert says in page
    assert "Until now nothing was deleted" not in page


def test_a_batch_that_waits_for_an_environment_says_until_when(sent: list[dict[str, Any]]) -> None:
    send_mail(
        "lin@example.com", "cleanup/tickets", batch_id="b1", tickets=[], executors=EXECUTORS, states=STATES,
        unticketed=1277, ahead=["extranet"], missing=None, held=[], again=False, until=date(2025, 11, 11),
        run_url="http://ui/run",
    )  # fmt: skip
    body = sent[0]["html_content"]
    assert "not taken out of service on the extranet. That may follow until 2025-11-11" in body
    assert "Go on with points_downline" in body
    assert "Nothing to do" not in body


@pytest.mark.parametrize("ticket", [None, ("done", "own"), ("handed_over", "dba")])
def test_points_that_keep_a_batch_from_its_end_are_named(
    sent: list[dict[str, Any]], ticket: tuple[str, str] | None
) -> None:
    tickets = [
        SimpleNamespace(ticket_id="T", state=state, executor=executor, points=1, estimated_keys=None)
        for state, executor in ([ticket] if ticket else [])
    ]
    send_mail(
        "lin@example.com", "cleanup/tickets", batch_id="b1", tickets=tickets, executors=EXECUTORS, states=STATES,
        unticketed=13, ahead=[], missing=None, held=[("NOS refuses 9", list(range(101, 113))), ("no route", [4])],
        again=True, until=date(2025, 11, 11), run_url="http://ui/run",
    )  # fmt: skip
    body = sent[0]["html_content"]
    assert "NOS refuses 9" in body
    assert "110 …" in body
    assert "A weekly reminder" in body
    assert "remove the causes below" in body
    assert "Nothing to do" not in body
    work = ticket == ("handed_over", "dba")
    assert ("Hand them to the DBA" in body, "Decide during" in body) == (work, not work)
    assert ("tickets are attached" in body, "no ticket is left to work on" in body) == (work, not work)


def test_evidence_that_is_missing_is_named_and_nobody_is_asked_to_go_on(sent: list[dict[str, Any]]) -> None:
    tickets = [
        SimpleNamespace(ticket_id="T", state=state, executor=executor, points=1, estimated_keys=None)
        for state, executor in (("open", "own"), ("handed_over", "dba"))
    ]
    send_mail(
        "lin@example.com", "cleanup/tickets", batch_id="b1", tickets=tickets, executors=EXECUTORS, states=STATES,
        unticketed=2, ahead=[], missing="2025-10-02 (900 min)", held=[], again=False,
        until=date(2025, 11, 11), run_url="http://ui/run",
    )  # fmt: skip
    body = sent[0]["html_content"]
    assert "The usage evidence of 2025-10-02 (900 min) is not there" in body
    assert "Have points_hive_aggregation and points_push run" in body
    assert "Ask the DBA to wait" in body
    for wrong in ("Approve during", "Hand them to the DBA", "Nothing to do", "waits for approval"):
        assert wrong not in body


def test_the_points_team_gets_the_mails_of_its_dags(sent: list[dict[str, Any]]) -> None:
    task_failure_mail(failure({"points", "tier:1"}, ValueError("x")))
    assert sent[0]["to"] == ["points-oncall@example.com"]


def test_an_undocumented_dag_has_no_meaning() -> None:
    assert meaning(None) == ""
    assert meaning("\n# A failure means x.\nmore") == "A failure means x."


def test_an_sla_mail_says_which_interval_by_how_much_and_where_to_look(sent: list[dict[str, Any]]) -> None:
    context = {
        "dag_run": {
            "dag_id": "draw_sync",
            "dag_run_id": "scheduled__2025-10-03T01:05:00+00:00",
            "state": "running",
            "data_interval_start": "2025-10-03T01:00:00Z",
            "data_interval_end": "2025-10-03T01:05:00Z",
        },
        "deadline": {"id": "1", "deadline_time": END + timedelta(seconds=240)},
    }
    mail = SlaMissMail(to="a@example.com, b@example.com", look_at=[["看日志", "Read the log"]], context=context)

    async def send() -> None:
        await mail

    asyncio.run(send())
    (message,) = sent
    assert message["to"] == ["a@example.com", "b@example.com"]
    assert message["subject"] == "[drawsguard] 超时 SLA missed: draw_sync 2025-10-03 09:00–09:05 北京时间"
    body = message["html_content"]
    for part in ("4 分钟内完成", "within 4 minutes", "看日志<br>Read the log", "2025-10-03 09:09 北京时间", "running"):
        assert part in body
    assert run_url("draw_sync", "scheduled__2025-10-03T01:05:00+00:00") in body


def test_a_template_without_its_value_is_an_error() -> None:
    with pytest.raises(UndefinedError):
        render_template("mail/task_failure.subject.txt", dag_id="draw_sync")


@pytest.mark.parametrize(
    ("run_type", "end", "created", "expected"),
    [
        ("scheduled", END, END + timedelta(seconds=3), END),
        ("scheduled", END, END + timedelta(seconds=121), None),  # late before it started: an outage, not a slow run
        ("backfill", END, END + timedelta(seconds=3), None),
        ("manual", END, END + timedelta(seconds=3), None),
        ("scheduled", None, END, None),
    ],
)
def test_only_fresh_scheduled_runs_have_a_deadline(
    run_type: str, end: datetime | None, created: datetime, expected: datetime | None
) -> None:
    assert deadline_start(run_type, end, created, 120) == expected


def test_the_reference_survives_serialization() -> None:
    reference = FreshIntervalEnd(stale_after_seconds=30)
    assert FreshIntervalEnd.deserialize_reference(reference.serialize_reference()) == reference


def test_every_mail_of_the_points_has_its_templates() -> None:
    calls = [
        node
        for path in (REPOSITORY / "plugins" / "operators").rglob("*.py")
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "send_mail"
    ]
    names = {call.args[1].value for call in calls if isinstance(call.args[1], ast.Constant)}
    folder = REPOSITORY / "include" / "templates" / "points"
    assert len(names) == 9
    missing = [name for name in names for end in (".subject.txt", ".html") if not (folder / f"{name}{end}").is_file()]
    assert missing == []
