"""Cleanup from the lifecycle's tables to empty Redis: tickets, four eyes, refusals, resuming, the result report."""

from __future__ import annotations

import contextlib
import itertools
import json
import os
import random
import signal
import subprocess
import sys
import time
import uuid
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import MySQLdb
import pytest
import redis
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskAwaitingInput
from openpyxl import load_workbook

from drawsguard.approvals.model import DIGEST_FIELD, Approved
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.pages.point_life import CleanupRow
from drawsguard.points.audit_repository import AuditRepository
from drawsguard.points.cleanup import instance as redis_instance
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.ledger import Checkpoint, Counts, Item, Sample, Scan
from drawsguard.points.cleanup.mysql_ledger import MySqlLedger
from drawsguard.points.cleanup.ticket import LivingPoints, plan_tickets
from drawsguard.points.cleanup.ticket_repository import (
    TicketRepository,
    TicketStateError,
    lock_name,
)
from drawsguard.points.database import fetch, prepare, statement
from drawsguard.points.downline.observation_repository import ObservationRepository
from drawsguard.points.downline.observed_days import last_observed_day
from drawsguard.points.downline.recheck import Sign
from drawsguard.points.downline.release import lift_halt
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.downline.structure_repository import Structure
from drawsguard.refusal import RefusedError
from drawsguard.settings import REPOSITORY, get_settings
from hooks import cleanup_databases, points_databases
from hooks.approvals_database import approvals
from local.redis_servers import Cluster, Migration
from operators.points.cleanup import cleanup_report_operator, cleanup_ticket_operator, redis_cleanup_operator
from operators.points.cleanup.cleanup_report_operator import CleanupReportOperator
from operators.points.cleanup.cleanup_ticket_operator import CleanupTicketOperator
from operators.points.cleanup.cleanup_tickets_made_operator import CleanupTicketsMadeOperator
from operators.points.cleanup.dba_ticket_operator import DbaTicketDoneOperator
from operators.points.cleanup.redis_cleanup_operator import RedisCleanupOperator
from operators.points.downline import points_observe_operator

pytestmark = pytest.mark.integration

NOW = datetime(2024, 9, 2, 2, 4, tzinfo=UTC)


@pytest.fixture(scope="module")
def services(stack):
    return stack.require("mysql", "redis", "smtp")


@pytest.fixture
def connection(services):
    config = services.config
    opened = MySQLdb.connect(
        host=config.host("mysql"),
        port=config.port("MYSQL_PORT"),
        user="governance",
        password=config.secret("mysql_governance"),
        charset="utf8mb4",
        database="rsp_datagovern",
    )
    prepare(opened)
    yield opened
    opened.close()


def execute(connection, text, *values):
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(text, values)
    connection.commit()


def add_batch(connection, *structures, state="downlined", observed_days=1, confirmed_by="requester"):
    """A batch whose observation ended ``observed_days`` ago, with structures (id, cluster, type, key, field)."""
    batch_id = f"b{uuid.uuid4().hex[:12]}"
    ended = (datetime.now(UTC) - timedelta(days=observed_days)).replace(tzinfo=None)
    execute(
        connection,
        "INSERT INTO points_lifecycle.batch (batch_id, environment, window_start, window_end, candidates,"
        " candidate_digest, state, confirmed_by, created_at, observe_from, observe_until)"
        " VALUES (%s, 'intranet', '2024-01-29', '2024-07-30', %s, '', %s, %s, %s, %s, %s)",
        batch_id, len(structures), state, confirmed_by, ended, ended, ended,
    )  # fmt: skip
    Repositories(connection).structures.save(batch_id, [Structure(*structure) for structure in structures])
    add_evidence(connection, datetime.now(UTC).date())
    return batch_id


def add_evidence(connection, last_day):
    """Usage evidence that covers ``last_day``, and nothing after it."""
    execute(
        connection,
        "DELETE FROM rsp_datagovern.evidence_batch WHERE batch_id = 'window_cleanup' OR window_end > %s",
        last_day,
    )
    execute(
        connection,
        "INSERT INTO rsp_datagovern.evidence_batch (batch_id, flow, window_start, window_end, state, row_count,"
        " eid_sum, checksum, run_id, published_at)"
        " VALUES ('window_cleanup', 'window', '2024-01-01', %s, 'completed', 0, 0, 0, 'r', UTC_TIMESTAMP(6))",
        last_day,
    )
    execute(connection, "DELETE FROM rsp_datagovern.evidence_batch_day WHERE batch_id = 'window_cleanup'")
    for number in range(40):
        execute(
            connection,
            "INSERT INTO rsp_datagovern.evidence_batch_day (batch_id, pt_dt, minutes)"
            " VALUES ('window_cleanup', %s, 1440)",
            last_day - timedelta(days=number),
        )


def database_of_instance():
    return int(os.environ["AIRFLOW_CONN_UTD_001_REDIS"].partition("?db=")[2])


@pytest.fixture
def instance(services):
    """The Redis database that stands for utd-001-redis, the only instance of redis_flag."""
    config = services.config
    client = redis.Redis(port=config.port("REDIS_PORT"), password=config.secret("redis"), db=database_of_instance())
    client.flushdb()
    yield client
    client.flushdb()
    client.close()


@pytest.fixture
def living(monkeypatch):
    """The points served now; tests add to it. (Where they come from has tests of its own.)"""
    points = SimpleNamespace(value=LivingPoints((), {}))
    monkeypatch.setattr(cleanup_databases, "living_points", lambda *_: points.value)
    return points


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


RUN = SimpleNamespace(run_id="", started_at=NOW, indexes={})


@pytest.fixture(autouse=True)
def run(monkeypatch):
    """A run of its own for each test, approvers with ids, points at -80 and unused. (Those have tests of their own.)"""
    monkeypatch.setattr(points_databases, "signs_now", lambda *_: [])
    monkeypatch.setattr(cleanup_databases, "kept_points", lambda *_: {})
    monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset())
    monkeypatch.setattr(cleanup_databases, "split_points", lambda *_: frozenset())
    monkeypatch.setenv("DRAWSGUARD_APPROVERS", "approver=approver,second_approver=second_approver")
    get_settings.cache_clear()
    RUN.run_id, RUN.started_at, RUN.indexes = f"run-{uuid.uuid4().hex}", datetime.now(UTC) - timedelta(hours=1), {}
    yield
    get_settings.cache_clear()


def new_run(run_id=None):
    """Start another run; with a run id, one that takes it again. (A clear of a run that ended does the same.)"""
    RUN.run_id = run_id or f"run-{uuid.uuid4().hex}"
    RUN.started_at += timedelta(minutes=1)


def context(task_id="clean", triggered_by=None, map_index=0):
    run = SimpleNamespace(
        dag_id="points_cleanup",
        run_id=RUN.run_id,
        triggering_user_name=triggered_by,
        run_type="manual" if triggered_by else "scheduled",
        start_date=RUN.started_at,
    )
    task = SimpleNamespace(id=uuid.uuid4(), dag_id=run.dag_id, run_id=run.run_id, task_id=task_id, map_index=map_index)
    return {"dag_run": run, "ti": task, "task_instance": task, "run_id": run.run_id}


def of_ticket(ticket_id, triggered_by=None):
    return context(triggered_by=triggered_by, map_index=RUN.indexes.setdefault(ticket_id, len(RUN.indexes)))


def execute_clean(ticket_id, triggered_by=None):
    return clean(ticket_id).execute(of_ticket(ticket_id, triggered_by))


def ask(ticket_id, triggered_by=None):
    with pytest.raises(TaskAwaitingInput):
        execute_clean(ticket_id, triggered_by)


def respond(ticket_id, event, triggered_by=None):
    return clean(ticket_id).execute_complete(of_ticket(ticket_id, triggered_by), event)


def approve(ticket_id, digest):
    ask(ticket_id)
    return respond(ticket_id, answered(digest))


def kept(kind=None):
    with approvals() as repository:
        events = repository.of_run("points_cleanup", RUN.run_id)
    return [event for event in events if kind in (None, event.kind)]


def answered(digest, by="approver", option="Approve"):
    return {
        "chosen_options": [option],
        "params_input": {DIGEST_FIELD: digest} if digest else {},
        "responded_by_user": {"id": by, "name": by} if by else None,
        "responded_at": datetime.now(UTC),
    }


@pytest.fixture
def asked(monkeypatch):
    """What was asked, instead of the execution API that only a running task has."""
    questions = []
    monkeypatch.setattr(
        "airflow.providers.standard.operators.hitl.upsert_hitl_detail", lambda **detail: questions.append(detail)
    )
    monkeypatch.setattr(
        "operators.points.cleanup.redis_cleanup_operator.Variable", SimpleNamespace(get=lambda *_, **__: "")
    )
    return questions


def clean(ticket_id):
    return RedisCleanupOperator(task_id="clean", ticket_id=ticket_id)


FLAG = ((1, "redis_flag", "string", "flag:{user}:1", None), (2, "redis_flag", "hash", "flag:total", "2:{day}"))


def the_dba_ticket_is_closed_by_a_person_and_once(connection, batch_id, own, folder):
    def close(ticket_id, person="dba"):
        return DbaTicketDoneOperator(
            task_id="close", ticket_id=ticket_id, note="1204 keys, scanned again: none"
        ).execute(context(triggered_by=person))

    ticket_id = f"{batch_id}/redis_mq/dba_whole"
    for wrong, person, reason in (
        (ticket_id, None, "has no user"),
        (own[0], "dba", "executor is own"),
        (f"{batch_id}/redis_mq/other", "dba", "is not known"),
    ):
        with pytest.raises(AirflowFailException, match=reason):
            close(wrong, person)
    assert close(ticket_id) == close(ticket_id) == batch_id  # a retry of the same run
    CleanupReportOperator(task_id="report", batch_id=batch_id).execute(context())
    text = (folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.md").read_text(encoding="utf-8")
    assert f"| {ticket_id} | 已完成 done |" in text
    assert f"DBA: {ticket_id} — dba, " in text
    assert "1204 keys, scanned again: none" in text


def test_batch_from_tickets_to_closed(connection, instance, living, folder, asked):
    batch_id = add_batch(
        connection, *FLAG, (3, "redis_mq", "string", "mq:{user}:3", None), (4, "ssdb_evt_C", "string", "m:4", None)
    )
    instance.mset({f"flag:{n}:1": "x" for n in range(300)} | {"flag:x:1": 1, "flag:5:11": 1})
    instance.hset("flag:total", mapping={f"2:2024-01-{day:02}": 1 for day in range(1, 31)} | {"3:2024-01-01": 1})

    own = CleanupTicketOperator(task_id="write_tickets", batch_id=batch_id).execute(context())
    assert own == [f"{batch_id}/redis_flag/own_exact", f"{batch_id}/redis_flag/own_key"]
    store = TicketRepository(connection)
    tickets = {ticket.ticket_id: ticket for ticket in store.tickets(batch_id)}
    assert tickets[f"{batch_id}/redis_mq/dba_whole"].state == "handed_over"
    assert tickets[own[1]].estimated_keys == 300
    (workbook,) = (folder / batch_id / "cleanup").glob("清理积分-*.xlsx")
    assert load_workbook(workbook).sheetnames == [
        "汇总 summary",
        "redis_flag-精确键 exact",
        "redis_flag-键匹配 key",
        "redis_mq-整体移交 whole",
        "未开单 no ticket",
    ]
    for ticket_id in own:
        approve(ticket_id, tickets[ticket_id].digest)
    assert [detail["assigned_users"] for detail in asked] == [
        [{"id": "approver", "name": "approver"}, {"id": "second_approver", "name": "second_approver"}]
    ] * 2
    assert sorted(instance.keys()) == [b"flag:5:11", b"flag:total", b"flag:x:1"]
    assert instance.hkeys("flag:total") == [b"3:2024-01-01"]

    reported = CleanupReportOperator(task_id="report").execute(context())
    assert reported[batch_id] == {"closed": False, "deleted": 330, "left": 0}  # the DBA's ticket is not done
    text = (folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.md").read_text(encoding="utf-8")
    assert "| redis_flag | 2 | 2 | 0 | 0 | 330 | 330 | 0 | 0 |" in text
    assert "| redis_mq | 1 | 0 | 1 | 0 |" in text
    assert "No routing rule" in text
    assert (
        load_workbook(folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.xlsx")["集群 clusters"]["G4"].value
        == 330
    )
    assert Repositories(connection).batches.get(batch_id).state == "cleaning"
    the_dba_ticket_is_closed_by_a_person_and_once(connection, batch_id, own, folder)
    assert Repositories(connection).batches.get(batch_id).state == "cleaned"
    events = [event["event"] for event in Repositories(connection).audit.events(batch_id)]
    assert events == [
        "cleanup_tickets",
        "told",
        *["cleanup_started", "cleanup_ended"] * 2,
        "told",
        "cleanup_reported",
        "dba_ticket_refused",
        "dba_ticket_done",
        "told",
        "cleanup_reported",
    ]
    assert [(e.action, e.kind, e.responder, e.subject) for e in kept() if e.kind != "asked"] == [
        ("cleanup", kind, "approver", ticket_id) for ticket_id in own for kind in ("approved", "started", "finished")
    ]


def reported(batch_id):
    """Report a batch, as the teardown of a run does whatever became of its tickets."""
    return CleanupReportOperator(task_id="report", batch_id=batch_id).execute(context())[batch_id]["closed"]


def test_a_batch_whose_tickets_were_withdrawn_is_not_closed(connection, instance, living, folder, asked):
    """Day 31: open, unanswered. Day 32: NOS refuses a point that is served beside them, so none has a ticket."""
    batch_id = add_batch(connection, *FLAG)
    instance.set("flag:1:1", 1)
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert reported(batch_id) is False
    living.value = LivingPoints((), {"redis_flag": [9]})
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    assert {ticket.state for ticket in TicketRepository(connection).tickets(batch_id)} == {"withdrawn"}
    assert reported(batch_id) is False
    assert Repositories(connection).batches.get(batch_id).state == "downlined"
    living.value = LivingPoints((), {})
    for ticket_id in CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()):
        approve(ticket_id, TicketRepository(connection).ticket(ticket_id).digest)
    assert instance.dbsize() == 0
    assert reported(batch_id) is True


def test_a_batch_with_one_ticket_done_waits_for_a_point_whose_reason_may_pass(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, *FLAG)
    keep(monkeypatch, {1: "It is live in a table that nobody listed."})
    (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    approve(ticket_id, TicketRepository(connection).ticket(ticket_id).digest)
    assert reported(batch_id) is False
    monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset({1}))
    assert reported(batch_id) is True


PAIR = (FLAG[0], (5, "redis_flag", "string", "flag:{user}:5", None))


def keep(monkeypatch, reasons):
    """Let these points be kept, and no other."""
    monkeypatch.setattr(
        cleanup_databases, "kept_points", lambda _, points, __: {k: v for k, v in reasons.items() if k in points}
    )


def test_a_point_that_may_be_cleaned_after_its_ticket_was_done_gets_another(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, *PAIR)
    instance.mset({"flag:7:1": 1, "flag:7:5": 1})
    store = TicketRepository(connection)
    keep(monkeypatch, {5: "It is live in a table that nobody listed."})
    (first,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    approve(first, store.ticket(first).digest)
    done = store.ticket(first)
    assert (done.state, done.points, instance.keys()) == ("done", 1, [b"flag:7:5"])
    keep(monkeypatch, {})
    (second,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert second == f"{first}/2"
    assert store.ticket(first) == done
    assert reported(batch_id) is False
    approve(second, store.ticket(second).digest)
    assert instance.keys() == []
    assert [(p.point_id, p.ticket_id, p.deleted, p.left) for p in store.results(batch_id)] == [
        (1, first, 1, 0),
        (5, second, 1, 0),
    ]
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    assert reported(batch_id) is True


def test_a_ticket_that_gets_another_point_is_swept_again(connection, instance, living, folder, asked, monkeypatch):
    """It ended after its confirming scan, without being done; what that scan saw says nothing of the other point."""
    batch_id = add_batch(connection, *PAIR)
    instance.mset({"flag:7:1": 1, "flag:7:5": 1})
    store = TicketRepository(connection)
    keep(monkeypatch, {5: "It is served."})
    (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    finish = MySqlLedger.finish_passes
    monkeypatch.setattr(MySqlLedger, "finish_passes", lambda *_: pytest.fail("killed"))
    with pytest.raises(BaseException, match="killed"):
        approve(ticket_id, store.ticket(ticket_id).digest)
    monkeypatch.setattr(MySqlLedger, "finish_passes", finish)
    assert instance.keys() == [b"flag:7:5"]
    keep(monkeypatch, {})
    new_run()
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == [ticket_id]
    approve(ticket_id, store.ticket(ticket_id).digest)
    assert instance.keys() == []
    assert store.ticket(ticket_id).state == "done"
    assert [(p.point_id, p.found, p.deleted, p.left) for p in store.results(batch_id)] == [(1, 1, 1, 0), (5, 1, 1, 0)]


def test_a_sweep_ends_when_its_ticket_gets_other_points_beside_it(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, *PAIR)
    instance.mset({f"flag:{n}:1": 1 for n in range(20)})
    store = TicketRepository(connection)
    keep(monkeypatch, {5: "It is served."})
    (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    digest = store.ticket(ticket_id).digest
    finish = MySqlLedger.finish_passes

    def then_made_again(ledger, *arguments):
        finish(ledger, *arguments)
        keep(monkeypatch, {})
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())

    monkeypatch.setattr(MySqlLedger, "finish_passes", then_made_again)
    with pytest.raises(AirflowFailException, match="other points or patterns"):
        approve(ticket_id, digest)
    assert store.ticket(ticket_id).state != "done"


MQ = (3, "redis_mq", "string", "mq:{user}:3", None)
MQ_PAIR = (MQ, (5, "redis_mq", "string", "mq:{user}:5", None))


def handed_over(connection):
    """A batch whose only ticket is in the DBA's hands."""
    batch_id = add_batch(connection, MQ)
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    (ticket,) = TicketRepository(connection).tickets(batch_id)
    assert ticket.state == "handed_over"
    return batch_id, ticket.ticket_id


def dba_done(ticket_id):
    return DbaTicketDoneOperator(task_id="close", ticket_id=ticket_id, note="1204 keys").execute(
        context(triggered_by="dba")
    )


def test_a_batch_with_a_ticket_in_the_dbas_hands_is_watched_until_it_is_done(connection, living, folder):
    batch_id, ticket_id = handed_over(connection)
    observations = Repositories(connection).observations
    assert reported(batch_id) is False
    assert batch_id in [batch for batch, *_ in observations.observed()]
    assert dba_done(ticket_id) == batch_id
    assert Repositories(connection).batches.get(batch_id).state == "cleaning"
    assert reported(batch_id) is True
    assert batch_id not in [batch for batch, *_ in observations.observed()]


@pytest.mark.parametrize("change", ["halted", "used", "kept", "watched again"])
def test_a_ticket_of_the_dba_is_not_closed_when_its_points_must_not_be_cleaned(
    connection, living, folder, monkeypatch, change
):
    batch_id, ticket_id = handed_over(connection)
    if change == "halted":
        Repositories(connection).observations.halt(batch_id, "used again")
    elif change == "used":  # and no observation has seen it
        monkeypatch.setattr(points_databases, "signs_now", lambda *_: [Sign("use", 3, "upd_eid_3", NOW, 1)])
    elif change == "kept":
        keep(monkeypatch, {3: "It is served."})
    else:
        later = "UPDATE points_lifecycle.batch SET observe_until = '2099-01-01' WHERE batch_id = %s"
        execute(connection, later, batch_id)
    reason = {"halted": "used again", "used": "signs of life", "kept": "It is served", "watched again": "is not due"}
    with pytest.raises(AirflowFailException, match=reason[change]):
        dba_done(ticket_id)
    repositories = Repositories(connection)
    withdrawn = change in ("halted", "used")
    assert (repositories.batches.get(batch_id).halted_at is not None) is withdrawn
    assert TicketRepository(connection).ticket(ticket_id).state == ("withdrawn" if withdrawn else "handed_over")
    refused = [event for event in repositories.audit.events(batch_id) if event["event"] == "dba_ticket_refused"]
    assert [(event["actor"], event["detail"]["note"]) for event in refused] == [("dba", "1204 keys")]


@pytest.mark.parametrize("why", ["halted", "replaced", "done"])
def test_what_the_dba_says_of_a_ticket_that_is_in_its_hands_no_more_is_kept(
    connection, living, folder, monkeypatch, why
):
    """It was withdrawn while the DBA ran its commands; what was deleted is gone, whoever may say so."""
    batch_id, ticket_id = handed_over(connection)
    repositories = Repositories(connection)
    if why == "halted":
        repositories.observations.halt(batch_id, "used again")
        cleanup_databases.withdraw_from_dba(batch_id, repositories)
    elif why == "replaced":
        keep(monkeypatch, {3: "It is served."})
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    else:
        dba_done(ticket_id)
        new_run()
    state = "done" if why == "done" else "withdrawn"
    with pytest.raises(AirflowFailException, match=f"is {state} .* tell the points team"):
        dba_done(ticket_id)
    refused = [event for event in repositories.audit.events(batch_id) if event["event"] == "dba_ticket_refused"]
    assert [(event["actor"], event["detail"]["note"]) for event in refused] == [("dba", "1204 keys")]


@pytest.mark.parametrize("killed", ["before the note", "after it"])
def test_a_report_of_the_dba_that_is_killed_is_kept_by_its_retry(connection, living, folder, monkeypatch, killed):
    batch_id, ticket_id = handed_over(connection)
    note, audit = AuditRepository.note, Repositories(connection).audit

    def dying(repository, *arguments, **detail):
        if killed == "before the note" and "dba_ticket_done" in arguments:
            raise KeyboardInterrupt
        note(repository, *arguments, **detail)
        if "dba_ticket_done" in arguments:
            raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(AuditRepository, "note", dying)
        with pytest.raises(KeyboardInterrupt):
            dba_done(ticket_id)
    assert dba_done(ticket_id) == batch_id  # the retry, so that the report follows
    events = [event for event in audit.events(batch_id) if event["event"].startswith("dba_ticket")]
    assert [(e["event"], e["actor"], e["detail"]["ticket"], e["detail"]["note"]) for e in events] == [
        ("dba_ticket_done", "dba", ticket_id, "1204 keys")
    ]
    assert TicketRepository(connection).ticket(ticket_id).state == "done"
    new_run()
    with pytest.raises(AirflowFailException, match="is done"):
        dba_done(ticket_id)


def test_a_halt_withdraws_what_the_dba_has_in_hand_and_the_report_says_so(connection, living, folder, monkeypatch):
    batch_id, ticket_id = handed_over(connection)
    other, kept_ticket = handed_over(connection)
    repositories = Repositories(connection)
    assert cleanup_databases.withdraw_from_dba(batch_id, repositories) == []  # not halted
    assert TicketRepository(connection).ticket(ticket_id).state == "handed_over"
    sign = Sign("use", 3, "upd_eid_3", NOW, 1)
    monkeypatch.setattr(points_databases, "signs_now", lambda _, batch, *__: [sign] if batch == batch_id else [])
    mails = observe(monkeypatch, batch_id, other)
    assert [(mail["batch_id"], mail["withdrawn"]) for mail in mails] == [(batch_id, [ticket_id])]
    store = TicketRepository(connection)
    assert [store.ticket(each).state for each in (ticket_id, kept_ticket)] == ["withdrawn", "handed_over"]
    assert reported(batch_id) is False
    text = (folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.md").read_text(encoding="utf-8")
    assert f"DBA: {ticket_id} — 已撤销" in text
    events = [event["event"] for event in repositories.audit.events(batch_id)]
    assert events.count("dba_tickets_withdrawn") == 1


def lose_evidence(connection, days=1):
    """Let the newest days be missing whose usage evidence has to be there; return the last of them."""
    expected = points_databases.evidence_expected_until()
    lost = "DELETE FROM rsp_datagovern.evidence_batch_day WHERE pt_dt > %s"
    execute(connection, lost, expected - timedelta(days=days))
    return expected


@pytest.mark.parametrize("when", ["asked", "answered", "started", "running"])
def test_nothing_is_deleted_while_the_newest_day_of_evidence_is_missing(
    connection, instance, living, folder, asked, monkeypatch, when
):
    """The observation is complete, and the push has been broken since: whether its points are used is unknown."""
    batch_id = add_batch(connection, *FLAG, observed_days=20)
    instance.mset({f"flag:{n}:1": "x" for n in range(3000)})
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    refused = pytest.raises(AirflowFailException, match=f"of {points_databases.evidence_expected_until()} is not there")
    if when == "asked":
        lose_evidence(connection, 5)
        with refused:
            execute_clean(ticket_id)
        assert asked == []
        return
    ask(ticket_id)
    if when == "answered":
        lose_evidence(connection)
    elif when == "started":
        made = redis_cleanup_operator.Sweep
        monkeypatch.setattr(
            redis_cleanup_operator, "Sweep", lambda *a, **b: (lose_evidence(connection), made(*a, **b))[1]
        )
    else:
        monkeypatch.setattr(redis_cleanup_operator, "LOOK_SECONDS", 0.0)
        record = MySqlLedger.record

        def then_lost(*arguments):
            record(*arguments)
            lose_evidence(connection)

        monkeypatch.setattr(MySqlLedger, "record", then_lost)
    with refused:
        respond(ticket_id, answered(digest))
    assert 0 < instance.dbsize() < 3000 if when == "running" else instance.dbsize() == 3000


def test_without_the_newest_evidence_nothing_is_handed_to_the_dba_and_people_are_told(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, FLAG[0], *MQ_PAIR, observed_days=20)
    store, mails = TicketRepository(connection), []
    monkeypatch.setattr(cleanup_ticket_operator, "send_mail", lambda *_, **values: mails.append(values))
    whole, second = f"{batch_id}/redis_mq/dba_whole", f"{batch_id}/redis_mq/dba_whole/2"

    def day(*left_out, whole_evidence):
        keep(monkeypatch, dict.fromkeys(left_out, "It is served."))
        add_evidence(connection, datetime.now(UTC).date())
        missing = None if whole_evidence else str(lose_evidence(connection))
        new_run()
        mails.clear()
        own = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        assert [mail["missing"] for mail in mails] in ([], [missing])
        return own, {ticket.ticket_id: ticket.state for ticket in store.tickets(batch_id)}, len(mails)

    own = f"{batch_id}/redis_flag/own_key"
    assert day(whole_evidence=False) == ([], {own: "open"}, 1)
    assert day(whole_evidence=False) == ([], {own: "open"}, 0)  # said once
    assert day(whole_evidence=True) == ([own], {own: "open", whole: "handed_over"}, 1)
    assert day(whole_evidence=False) == ([], {own: "open", whole: "handed_over"}, 1)  # it is in the DBA's hands
    assert day(5, whole_evidence=False) == ([], {own: "open", whole: "withdrawn"}, 1)  # nor is another, before
    assert day(5, whole_evidence=True)[1] == {own: "open", whole: "withdrawn", second: "handed_over"}
    lose_evidence(connection, 5)
    assert dba_done(second) == batch_id  # what the DBA has done is recorded all the same


def observe(monkeypatch, *batches):
    """Watch some batches, as the daily run does, and return what it mailed."""
    mails = []
    with monkeypatch.context() as patched:
        patched.setattr(points_observe_operator, "send_mail", lambda *_, **values: mails.append(values))
        patched.setattr(points_observe_operator, "warehouse_client", lambda: None)
        quiet = SimpleNamespace(fire=lambda *_, **__: None, end=lambda *_, **__: None)
        patched.setattr(points_observe_operator, "signals", quiet)
        observed = ObservationRepository.observed
        patched.setattr(
            ObservationRepository, "observed", lambda store: [row for row in observed(store) if row[0] in batches]
        )
        patched.setattr(points_observe_operator.PointsObserveOperator, "_require_evidence", lambda *_: None)
        points_observe_operator.PointsObserveOperator(task_id="observe").execute(context())
    return mails


def test_what_was_deleted_before_a_halt_is_reported_by_its_run_and_said_in_the_mail(
    connection, instance, living, folder, asked, monkeypatch
):
    """One ticket is done, and another's sweep finds use: the scheduled report has the batch although it is halted."""
    batch_id, other = add_batch(connection, *FLAG), add_batch(connection, *FLAG)
    instance.mset({f"flag:{n}:1": "x" for n in range(3)})
    instance.hset("flag:total", mapping={"2:2024-01-01": 1})
    exact, key = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    digest = TicketRepository(connection).ticket(key).digest
    approve(exact, TicketRepository(connection).ticket(exact).digest)
    ask(key)
    sign = Sign("use", 1, "upd_eid_1", NOW, 1)
    monkeypatch.setattr(points_databases, "signs_now", lambda _, batch, *__: [sign] if batch == batch_id else [])
    with pytest.raises(AirflowFailException, match="signs of life"):
        respond(key, answered(digest))
    assert Repositories(connection).batches.get(batch_id).halted_at is not None
    found = CleanupReportOperator(task_id="report").execute(context())
    assert found == {batch_id: {"closed": False, "deleted": 1, "left": 0}}, "the other has no ticket of this run"
    (mail,) = observe(monkeypatch, batch_id, other)
    assert (mail["batch_id"], mail["deleted"], mail["unconfirmed"], mail["done"]) == (batch_id, 1, 0, [exact])


def test_the_use_of_a_halted_batch_is_mailed_once_until_it_is_news(connection, living, folder, monkeypatch):
    """Watched after each push: the same signs and tickets are no news, later use is, and so is the next halt."""
    batch_id, ticket_id = handed_over(connection)
    signs = [Sign("use", 3, "upd_eid_3", NOW, 1)]
    monkeypatch.setattr(points_databases, "signs_now", lambda *_: [*signs])

    def told():
        new_run()
        return len(observe(monkeypatch, batch_id))

    assert [told(), told()] == [1, 0]
    signs[0] = Sign("use", 3, "upd_eid_3", NOW, 7)  # other days of the same use left the window
    assert told() == 0
    signs[0] = Sign("use", 3, "upd_eid_3", NOW + timedelta(hours=1), 8)
    assert [told(), told()] == [1, 0]
    execute(connection, "UPDATE points_lifecycle.batch SET halted_at = NULL WHERE batch_id = %s", batch_id)
    assert [told(), told()] == [1, 0]
    execute(connection, "UPDATE points_lifecycle.cleanup_ticket SET state = 'done' WHERE ticket_id = %s", ticket_id)
    assert told() == 1


def test_what_waits_for_the_dba_is_mailed_once(connection, living, folder, monkeypatch):
    batch_id = add_batch(connection, *MQ_PAIR)
    mails, workbooks, write = [], [], cleanup_ticket_operator.write_tickets
    for module in (cleanup_ticket_operator, cleanup_report_operator):
        monkeypatch.setattr(module, "send_mail", lambda _, name, *__, **___: mails.append(name))
    monkeypatch.setattr(cleanup_ticket_operator, "write_tickets", lambda *a: (workbooks.append(a[0]), write(*a)))

    def day(*left_out):
        keep(monkeypatch, dict.fromkeys(left_out, "It is served."))
        new_run()
        mails.clear()
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        reported(batch_id)
        return [*mails]

    assert day(5) == ["cleanup/tickets", "cleanup/result"]
    assert [day(5), day(5)] == [[], []]
    assert len(workbooks) == 1
    assert day() == ["cleanup/tickets", "cleanup/result"]  # another ticket
    assert day() == []
    assert len(workbooks) == 2
    dba_done(f"{batch_id}/redis_mq/dba_whole/2")
    mails.clear()
    assert reported(batch_id) is True
    assert mails == ["cleanup/result"]


@pytest.mark.parametrize("reason", ["unknown to NOS", "no route", "restored"])
def test_points_without_a_ticket_that_keep_a_batch_from_its_end_are_something_to_decide(
    connection, living, folder, monkeypatch, reason
):
    """One mail said that the tickets were attached and that nothing was to be done, and none followed, for ever."""
    batch_id = add_batch(connection, *FLAG if reason != "no route" else [(4, "ssdb_evt_C", "string", "m:4", None)])
    if reason == "unknown to NOS":
        living.value = LivingPoints((), {"redis_flag": [9]})
    elif reason == "restored":
        keep(monkeypatch, dict.fromkeys((1, 2), "or it was restored"))
        monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset({1, 2}))
    mails = []
    monkeypatch.setattr(cleanup_ticket_operator, "send_mail", lambda *_, **values: mails.append(values))

    def day():
        mails.clear()
        new_run()
        assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
        return [(sorted(eid for _, ids in mail["held"] for eid in ids), mail["again"]) for mail in mails]

    held = {"unknown to NOS": [1, 2], "no route": [4], "restored": []}[reason]
    assert day() == [(held, False)]
    assert day() == []
    if reason == "unknown to NOS":  # another cause, and other points
        living.value = LivingPoints((), {"redis_flag": [9, 10]})
        assert day() == [(held, False)]
        keep(monkeypatch, {1: "or it was restored"})
        monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset({1}))
        assert day() == [([2], False)]
    monkeypatch.setattr(cleanup_ticket_operator, "REMIND_AFTER", timedelta(0))
    assert day() == ([] if reason == "restored" else [(held[-1:], True)])


def test_a_ticket_that_the_dba_still_has_is_called_to_mind(connection, living, folder, monkeypatch):
    batch_id, ticket_id = handed_over(connection)
    mails = []
    monkeypatch.setattr(cleanup_ticket_operator, "send_mail", lambda *_, **values: mails.append(values["again"]))
    for after in (cleanup_ticket_operator.REMIND_AFTER, timedelta(0)):
        monkeypatch.setattr(cleanup_ticket_operator, "REMIND_AFTER", after)
        new_run()
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert mails == [True]
    dba_done(ticket_id)
    CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert mails == [True, False]  # its new state, once


def test_a_ticket_that_is_handed_over_again_after_a_halt_is_mailed_again(connection, living, folder, monkeypatch):
    """The mail about the halt told the DBA not to run it; since its release it says the same as before."""
    batch_id, ticket_id = handed_over(connection)
    store, repositories = TicketRepository(connection), Repositories(connection)
    mails = []
    monkeypatch.setattr(cleanup_ticket_operator, "send_mail", lambda *_, **values: mails.append(values["tickets"]))

    def day():
        new_run()
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())  # a retry
        return [[(ticket.ticket_id, ticket.state) for ticket in mailed] for mailed in mails]

    assert day() == []
    before = store.ticket(ticket_id)
    repositories.observations.halt(batch_id, "used again")
    assert cleanup_databases.withdraw_from_dba(batch_id, repositories) == [ticket_id]
    release(connection, batch_id)
    assert day() == day() == [[(ticket_id, "handed_over")]]
    assert store.ticket(ticket_id).digest == before.digest
    repositories.audit.note(batch_id, "restored", "approver", "intranet", withdrawn_tickets=[ticket_id])
    assert len(day()) == len(day()) == 2


def release(connection, batch_id, *shown):
    """Release a halted batch, and let the days after it pass."""
    repositories = Repositories(connection)
    lift_halt(repositories, repositories.batches.get(batch_id), "approver", {}, (), shown)
    past = "UPDATE points_lifecycle.batch SET observe_until = observe_from WHERE batch_id = %s"
    execute(connection, past, batch_id)


def test_a_point_that_was_used_after_its_ticket_was_done_gets_another(
    connection, instance, living, folder, asked, monkeypatch
):
    """It wrote, and its batch was halted and released: what it wrote is cleaned, and the batch not closed before."""
    batch_id = add_batch(connection, *PAIR, MQ)
    instance.mset({"flag:7:1": 1, "flag:7:5": 1})
    store = TicketRepository(connection)
    (first,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    approve(first, store.ticket(first).digest)
    dba = dba_done(f"{batch_id}/redis_mq/dba_whole")
    assert store.done_points(dba) == {1, 3, 5}
    before = store.ticket(first)
    instance.mset({"flag:8:1": 1, "flag:8:5": 1})
    Repositories(connection).observations.halt(batch_id, "used again")
    shown = [Sign("use", 1, "upd_eid_1", NOW, 2), Sign("use", 3, "upd_eid_3", NOW, 1), Sign("error", 5, "e", NOW, 1)]
    release(connection, batch_id, *shown)
    assert store.done_points(batch_id) == {5}
    assert sum(point.deleted for point in store.results(batch_id)) == 2
    assert reported(batch_id) is False
    new_run()
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == [f"{first}/2"]
    assert store.ticket(first) == before
    assert store.ticket(f"{batch_id}/redis_mq/dba_whole/2").state == "handed_over"
    approve(f"{first}/2", store.ticket(f"{first}/2").digest)
    assert instance.keys() == [b"flag:8:5"], "nobody used it: that is somebody else's"
    dba_done(f"{batch_id}/redis_mq/dba_whole/2")
    assert [(p.point_id, p.ticket_id, p.deleted) for p in store.results(batch_id) if p.point_id != 3] == [
        (1, f"{first}/2", 2),
        (5, first, 1),
    ]
    assert reported(batch_id) is True


def test_tickets_that_wait_for_an_approval_are_mailed_with_each_question(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, FLAG[0])
    mails = []
    monkeypatch.setattr(cleanup_ticket_operator, "send_mail", lambda _, name, *__, **___: mails.append(name))
    for _ in range(2):
        new_run()
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())  # a retry
    assert mails == ["cleanup/tickets"] * 2


def test_a_batch_that_an_older_version_closed_is_halted_and_released_like_any_other(
    connection, living, folder, monkeypatch
):
    """It was closed with its ticket in the DBA's hands; use is found when the DBA reports it as done."""
    batch_id, ticket_id = handed_over(connection)
    execute(connection, "UPDATE points_lifecycle.batch SET state = 'cleaned' WHERE batch_id = %s", batch_id)
    execute(connection, statement("schema/governance/reopen_batches.sql"))
    monkeypatch.setattr(points_databases, "signs_now", lambda *_: [Sign("use", 3, "upd_eid_3", NOW, 1)])
    with pytest.raises(AirflowFailException, match="signs of life"):
        dba_done(ticket_id)
    assert TicketRepository(connection).ticket(ticket_id).state == "withdrawn"
    monkeypatch.setattr(points_databases, "signs_now", lambda *_: [])
    execute(connection, "UPDATE points_lifecycle.batch SET halted_at = NULL WHERE batch_id = %s", batch_id)
    CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert dba_done(ticket_id) == batch_id
    assert reported(batch_id) is True


def test_a_ticket_that_the_dba_closes_while_tickets_are_made_keeps_them_from_nothing(
    connection, living, folder, monkeypatch
):
    """The first one that is closed has its batch being cleaned: that takes back nothing of the plan."""
    batch_id, ticket_id = handed_over(connection)
    store = TicketRepository(connection)
    made = store.tickets(batch_id)
    new_run()
    monkeypatch.setattr(cleanup_databases, "living_points", lambda *_: (dba_done(ticket_id), living.value)[1])
    CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert store.ticket(ticket_id).state == "done"
    assert Repositories(connection).batches.get(batch_id).state == "cleaning"
    store.require_handed_over(batch_id, made)  # as a mail shows them that is about to be sent


@pytest.mark.parametrize("known", ["first", "handed over"])
@pytest.mark.parametrize("meanwhile", ["halted", "watched again", "restored", "halted before the mail"])
def test_tickets_that_no_longer_hold_when_they_are_made_are_not_handed_over(
    connection, living, folder, monkeypatch, known, meanwhile
):
    """Planning asks NOS about every served point, for minutes; use is found, or a point restored, while it does."""
    batch_id = add_batch(connection, *MQ_PAIR)
    store, repositories = TicketRepository(connection), Repositories(connection)
    if known == "handed over":
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        new_run()
    mails = []
    monkeypatch.setattr(cleanup_ticket_operator, "send_mail", lambda _, name, *__, **___: mails.append(name))

    def things_change(*_):
        if "halted" in meanwhile:
            repositories.observations.halt(batch_id, "used again")
            cleanup_databases.withdraw_from_dba(batch_id, repositories)
        elif meanwhile == "watched again":
            later = "UPDATE points_lifecycle.batch SET observe_until = '2099-01-01' WHERE batch_id = %s"
            execute(connection, later, batch_id)
        else:
            store.withdraw_points(batch_id, {5})
            keep(monkeypatch, {5: "It is served."})
        return living.value

    if meanwhile == "halted before the mail":
        if known == "handed over":  # there is something to mail
            keep(monkeypatch, {5: "It is served."})
        write = cleanup_ticket_operator.write_tickets
        monkeypatch.setattr(cleanup_ticket_operator, "write_tickets", lambda *a: (write(*a), things_change()))
    else:
        monkeypatch.setattr(cleanup_databases, "living_points", things_change)
    with pytest.raises(TicketStateError, match="while its tickets were made"):
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert mails == []
    if meanwhile != "watched again":
        assert "handed_over" not in {ticket.state for ticket in store.tickets(batch_id)}
    monkeypatch.setattr(cleanup_databases, "living_points", lambda *_: living.value)
    if meanwhile == "restored":  # the next run makes what follows now
        new_run()
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        assert [t.points for t in store.tickets(batch_id) if t.state == "handed_over"] == [1]
        assert mails == ["cleanup/tickets"]


def test_a_batch_that_is_halted_before_its_turn_gets_no_tickets_and_fails_no_run(
    connection, living, folder, monkeypatch
):
    """Which batches are due is asked once; the others' turn comes after those before them, minutes later."""
    batch_id = add_batch(connection, MQ)
    due = TicketRepository.due_batches

    def then_halted(store, *arguments):
        found = due(store, *arguments)
        Repositories(connection).observations.halt(batch_id, "used again")
        return [batch for batch in found if batch == batch_id]

    monkeypatch.setattr(TicketRepository, "due_batches", then_halted)
    assert CleanupTicketOperator(task_id="t").execute(context()) == []
    monkeypatch.setattr(TicketRepository, "due_batches", due)
    assert TicketRepository(connection).tickets(batch_id) == []
    CleanupTicketsMadeOperator(task_id="every_batch_has_tickets").execute(context())


@pytest.mark.parametrize("before", [{5}, set()])
def test_a_ticket_in_the_dbas_hands_stays_what_its_workbook_says(connection, living, folder, monkeypatch, before):
    """Day 31: a workbook. Day 32: point 5 may be cleaned as well, or no longer. The DBA runs the workbook of day 31."""
    batch_id = add_batch(connection, *MQ_PAIR)
    store = TicketRepository(connection)
    mails = []
    monkeypatch.setattr(cleanup_ticket_operator, "send_mail", lambda *_, **values: mails.append(values))

    def make(kept_points):
        keep(monkeypatch, dict.fromkeys(kept_points, "It is served."))
        new_run()
        assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
        return {t.ticket_id.removeprefix(f"{batch_id}/redis_mq/"): (t.state, t.points) for t in store.tickets(batch_id)}

    first, second = ("handed_over", 2 - len(before)), ("handed_over", 1 + len(before))
    assert make(before) == {"dba_whole": first}
    digest = store.ticket(f"{batch_id}/redis_mq/dba_whole").digest
    if not before:
        assert store.withdraw_points(batch_id, {5}) == [f"{batch_id}/redis_mq/dba_whole"]
    for _ in range(2):
        assert make({5} - before) == {"dba_whole": ("withdrawn", first[1]), "dba_whole/2": second}
    assert store.ticket(f"{batch_id}/redis_mq/dba_whole").digest == digest
    assert [t.ticket_id for t in mails[-1]["tickets"] if t.state == "withdrawn"] == [f"{batch_id}/redis_mq/dba_whole"]
    with pytest.raises(AirflowFailException, match="is withdrawn"):
        dba_done(f"{batch_id}/redis_mq/dba_whole")
    assert store.done_points(batch_id) == frozenset()
    assert make(before)["dba_whole"] == first  # what it was: the workbook says the same
    make({5} - before)
    assert dba_done(f"{batch_id}/redis_mq/dba_whole/2") == batch_id
    assert store.done_points(batch_id) == {3} | before
    make(())
    assert [t.ticket_id for t in store.tickets(batch_id) if t.state == "handed_over"] == (
        [] if before else [f"{batch_id}/redis_mq/dba_whole/3"]
    )


def test_a_route_that_goes_to_the_dba_gives_its_points_another_ticket(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, FLAG[0])
    (own,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    routes = [rule.model_copy(update={"executor": "dba"}) for rule in get_config().routes]
    theirs = get_config().model_copy(update={"routes": routes})
    monkeypatch.setattr(cleanup_databases, "get_config", lambda: theirs)
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    assert [(t.ticket_id, t.executor, t.state) for t in TicketRepository(connection).tickets(batch_id)] == [
        (own, "own", "withdrawn"),
        (f"{own}/2", "dba", "handed_over"),
    ]


def killed_before(monkeypatch, step, ticket_id, store):
    """Have a ticket approved, and its sweep killed before a step of its ledger."""
    with monkeypatch.context() as patched:
        patched.setattr(MySqlLedger, step, lambda *_: pytest.fail("killed"))
        with pytest.raises(BaseException, match="killed"):
            approve(ticket_id, store.ticket(ticket_id).digest)


@pytest.mark.parametrize("why", ["kept", "halted"])
def test_a_ticket_that_was_withdrawn_and_comes_back_is_swept_again(
    connection, instance, living, folder, asked, monkeypatch, why
):
    """Its last scan was done when its point was revived, or its batch halted; the point has written since."""
    batch_id = add_batch(connection, FLAG[0])
    store = TicketRepository(connection)
    (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    killed_before(monkeypatch, "finish_passes", ticket_id, store)
    if why == "kept":
        keep(monkeypatch, {1: "It is served."})
        assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    else:
        Repositories(connection).observations.halt(batch_id, "used again")
    instance.set("flag:7:1", 1)
    if why == "halted":
        release(connection, batch_id)
        assert store.ticket(ticket_id).state == "withdrawn"
    keep(monkeypatch, {})
    new_run()
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == [ticket_id]
    approve(ticket_id, store.ticket(ticket_id).digest)
    assert instance.keys() == []


@pytest.mark.parametrize("points", [PAIR, PAIR[1:]])
def test_what_was_deleted_of_a_point_is_reported_although_it_left_its_ticket(
    connection, instance, living, folder, asked, monkeypatch, points
):
    """A sweep deletes keys of point 5 and is stopped; the point is revived, and may be cleaned again another day."""
    batch_id = add_batch(connection, *points)
    instance.mset({"flag:7:1": 1, "flag:7:5": 1, "flag:8:5": 1} if points == PAIR else {"flag:7:5": 1, "flag:8:5": 1})
    store = TicketRepository(connection)
    (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    killed_before(monkeypatch, "finish_passes", ticket_id, store)
    assert instance.keys() == []
    instance.set("flag:9:5", 1)
    keep(monkeypatch, {5: "It is served."})
    new_run()
    own = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    assert own == [ticket_id][: len(points) - 1]
    for left in own:
        approve(left, store.ticket(left).digest)
    assert [(p.point_id, p.ticket_id, p.found, p.deleted) for p in store.results(batch_id)] == [
        *[(1, ticket_id, 1, 1)][: len(points) - 1],
        (5, None, 2, 2),
    ]
    assert [
        e["detail"]["deleted"] for e in Repositories(connection).audit.events(batch_id) if "deleted" in e["detail"]
    ] == [len(points) + 1] * len(points)
    assert freed(connection, batch_id, 5) == 2
    keep(monkeypatch, {})
    new_run()
    (after,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    approve(after, store.ticket(after).digest)
    assert instance.keys() == []
    assert [(p.ticket_id, p.deleted, p.left) for p in store.results(batch_id) if p.point_id == 5] == [(after, 3, 0)]
    assert freed(connection, batch_id, 5) == 3


def test_what_a_killed_sweep_may_have_deleted_is_reported_although_its_ticket_is_withdrawn(
    connection, instance, living, folder, asked, monkeypatch
):
    """Killed between deleting and counting; its point is served before the sweep goes on, which would count it."""
    batch_id = add_batch(connection, FLAG[0])
    instance.mset({"flag:7:1": 1, "flag:8:1": 1})
    store = TicketRepository(connection)
    (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    killed_before(monkeypatch, "record", ticket_id, store)
    assert instance.keys() == []
    keep(monkeypatch, {1: "It is served."})
    new_run()
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    assert [(p.ticket_id, p.deleted, p.unconfirmed) for p in store.results(batch_id)] == [(None, 0, 2)]
    assert cleanup_of_point(connection, batch_id, 1).unconfirmed == 2
    reported(batch_id)
    text = (folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.md").read_text(encoding="utf-8")
    assert "what a sweep was about to delete when it was killed" in text
    assert "| 1 | redis_flag | — | 0 | 0 | 0 | 0 | 2 | It is served. |" in text
    keep(monkeypatch, {})
    new_run()
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == [ticket_id]
    approve(ticket_id, store.ticket(ticket_id).digest)
    assert [(p.ticket_id, p.deleted, p.unconfirmed) for p in store.results(batch_id)] == [(ticket_id, 2, 0)]
    found = cleanup_of_point(connection, batch_id, 1)
    assert (found.unconfirmed, found.freed) == (0, 2)


@pytest.mark.parametrize("restart", ["while it confirms", "before its pass is noted"])
def test_what_a_confirming_pass_saw_is_counted_once_when_a_server_restarts(
    connection, instance, living, folder, asked, monkeypatch, restart
):
    """The restarted server, or the replica that took over, is scanned again; the scan before says nothing."""
    batch_id = add_batch(connection, FLAG[0])
    instance.set("flag:7:1", 1)
    instance.rpush("flag:8:1", 1)  # of another type: counted, and never touched
    store = TicketRepository(connection)
    (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    process, identity, record = ["first"], redis_instance._identity, MySqlLedger.record
    monkeypatch.setattr(redis_instance, "_identity", lambda *parts: identity(*parts, process[0]))

    def then_restarted(ledger, scan, checkpoint, counts):
        record(ledger, scan, checkpoint, counts)
        if scan.phase == "confirm":
            process[0] = "second"

    if restart == "while it confirms":
        monkeypatch.setattr(MySqlLedger, "record", then_restarted)
    else:
        killed_before(monkeypatch, "finish_passes", ticket_id, store)
        process[0] = "second"
        new_run()
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    approve(ticket_id, store.ticket(ticket_id).digest)
    assert process == ["second"]
    assert instance.keys() == [b"flag:8:1"]
    assert [(p.found, p.deleted, p.left, p.wrong_type) for p in store.results(batch_id)] == [(1, 1, 0, 1)]


def cleanup_of_point(connection, batch_id, point_id):
    """Return what is shown of a batch's cleanup of a point."""
    (row,) = fetch(connection, "pages/cleanup_of_point.sql", {"batches": (batch_id,), "point_id": point_id})
    connection.rollback()
    return CleanupRow(*row)


def freed(connection, batch_id, point_id):
    """Return how many keys of a point are shown as freed by a batch."""
    return cleanup_of_point(connection, batch_id, point_id).freed


@pytest.mark.parametrize("state", ["running", "incomplete"])
def test_a_ticket_that_follows_no_more_is_withdrawn_although_it_was_begun(
    connection, instance, living, folder, asked, monkeypatch, state
):
    """All its points were revived by hand, or its route has another name: it could neither end nor be asked about."""
    batch_id = add_batch(connection, *PAIR, FLAG[1])
    exact, key = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    store = TicketRepository(connection)
    approve(exact, store.ticket(exact).digest)
    begun = "UPDATE points_lifecycle.cleanup_ticket SET state = %s WHERE ticket_id = %s"
    execute(connection, begun, state, key)
    keep(monkeypatch, dict.fromkeys((1, 5), "It is served."))
    with cleanup_databases.cleanup_repositories() as (_, other):  # a sweep holds it: it is left to that
        execute(other.connection, "SELECT GET_LOCK(%s, 0)", lock_name(key))
        assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
        assert store.ticket(key).state == state
        assert reported(batch_id) is False
        execute(other.connection, "SELECT RELEASE_LOCK(%s)", lock_name(key))
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    assert store.ticket(key).state == "withdrawn"
    assert reported(batch_id) is False  # they may be cleaned another day
    keep(monkeypatch, {})
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == [key]
    assert store.ticket(key).state == "open"
    keep(monkeypatch, dict.fromkeys((1, 5), "It is served."))
    CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset({1, 5}))
    assert reported(batch_id) is True


def test_a_batch_that_was_restored_before_its_tickets_ends(connection, living, folder, monkeypatch):
    batch_id = add_batch(connection, *FLAG)
    keep(monkeypatch, dict.fromkeys((1, 2), "or it was restored"))
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset({1}))
    assert reported(batch_id) is False
    monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset({1, 2}))
    assert reported(batch_id) is True
    assert Repositories(connection).batches.get(batch_id).state == "cleaned"
    assert batch_id not in TicketRepository(connection).due_batches(get_settings().business_timezone)


def test_a_batch_that_ends_without_its_points_says_so_once(connection, living, folder, monkeypatch):
    """Down on the intranet only: it waits for the extranet, until its evidence is too old for that."""
    batch_id = add_batch(connection, *FLAG)
    mails = []
    monkeypatch.setattr(
        cleanup_report_operator, "send_mail", lambda *_, result, **__: mails.append((result.outcome, result.split))
    )
    keep(monkeypatch, dict.fromkeys((1, 2), "It is served on the extranet."))
    monkeypatch.setattr(cleanup_databases, "split_points", lambda *_: frozenset({1}))

    def day():
        new_run()
        mails.clear()
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        return reported(batch_id), [*mails]

    assert [day(), day()] == [(False, [("split", {1})]), (False, [])]
    monkeypatch.setattr(cleanup_databases, "split_points", lambda *_: frozenset())
    assert day() == (False, [("waiting", frozenset())])
    monkeypatch.setattr(cleanup_databases, "given_up_points", lambda *_: frozenset({1, 2}))
    assert day() == (True, [("ended", frozenset())])


def test_a_batch_that_no_route_fits_does_not_end_by_itself(connection, living, folder):
    """Its data is there, and somebody has to say what becomes of it."""
    batch_id = add_batch(connection, (4, "ssdb_evt_C", "string", "m:4", None))
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    assert reported(batch_id) is False


def test_a_batch_whose_observation_began_again_is_not_closed(connection, instance, living, folder, asked):
    batch_id = add_batch(connection, *FLAG)
    for ticket_id in CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()):
        approve(ticket_id, TicketRepository(connection).ticket(ticket_id).digest)
    again = "UPDATE points_lifecycle.batch SET observe_until = UTC_TIMESTAMP(6) + INTERVAL 30 DAY WHERE batch_id = %s"
    execute(connection, again, batch_id)
    assert reported(batch_id) is False
    assert Repositories(connection).batches.get(batch_id).state == "cleaning"
    Repositories(connection).observations.halt(batch_id, "used again")
    assert reported(batch_id) is False


@pytest.mark.parametrize("meanwhile", ["halted", "watched again"])
def test_a_batch_that_changes_while_it_is_judged_is_not_closed(connection, instance, living, folder, asked, meanwhile):
    batch_id = add_batch(connection, *FLAG)
    for ticket_id in CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()):
        approve(ticket_id, TicketRepository(connection).ticket(ticket_id).digest)

    def settled():
        if meanwhile == "halted":
            Repositories(connection).observations.halt(batch_id, "used again")
        else:
            execute(
                connection,
                "UPDATE points_lifecycle.batch SET observe_until = '2099-01-01' WHERE batch_id = %s",
                batch_id,
            )
        return True

    store = TicketRepository(connection)
    assert store.close_batch(batch_id, get_settings().business_timezone, settled) is False
    assert Repositories(connection).batches.get(batch_id).state == "cleaning"


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (lambda digest: answered(digest, by="requester"), "asked for this"),
        (lambda digest: answered(digest, by="somebody"), "somebody may not approve"),
        (lambda digest: answered(digest, by=None), "no answer means no"),
        (lambda _: {"error": "timeout", "error_type": "timeout"}, "no answer means no"),
        (lambda digest: answered(digest, option="Reject"), "did not approve"),
        (lambda _: answered("0" * 64), "changed after it was shown"),
        (lambda _: answered(None), "came without the form"),
    ],
)
def test_answer_that_is_no_approval_deletes_nothing(connection, instance, living, folder, asked, event, reason):
    batch_id = add_batch(connection, *FLAG)
    instance.set("flag:1:1", 1)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    ask(ticket_id)
    with pytest.raises(AirflowFailException, match=reason):
        respond(ticket_id, event(digest))
    assert instance.get("flag:1:1") == b"1"
    assert [event.kind for event in kept()] in (["asked", "refused"], ["asked", "rejected"], ["asked", "unanswered"])


def test_confirmer_of_the_batch_cannot_approve_a_run_that_another_triggered(
    connection, instance, living, folder, asked
):
    batch_id = add_batch(connection, *FLAG, confirmed_by="approver")
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    with pytest.raises(AirflowFailException, match="Nobody is left"):
        execute_clean(ticket_id, "second_approver")
    for user in ("approver", "second_approver"):
        with pytest.raises(AirflowFailException, match="Nobody is left"):
            respond(ticket_id, answered(digest, by=user), "second_approver")


def test_nobody_left_to_approve_is_refused_before_asking(connection, instance, living, folder, asked, monkeypatch):
    monkeypatch.setenv("DRAWSGUARD_APPROVERS", "requester=requester")
    get_settings.cache_clear()
    batch_id = add_batch(connection, *FLAG)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    with pytest.raises(AirflowFailException, match="Nobody is left"):
        execute_clean(ticket_id)
    assert not asked
    # The same scheduled run goes on to a batch that another person confirmed.
    other = add_batch(connection, *FLAG, confirmed_by="wu")
    ask(CleanupTicketOperator(task_id="t", batch_id=other).execute(context())[1])
    assert [(event.kind, event.requester) for event in kept()] == [("refused", "requester"), ("asked", "wu")]


def test_batches_of_a_scheduled_run_are_each_approved_by_who_did_not_confirm_them(
    connection, instance, living, folder, asked
):
    tickets = TicketRepository(connection)
    for confirmed_by in ("approver", "second_approver"):
        batch_id = add_batch(connection, *FLAG[:1], confirmed_by=confirmed_by)
        (ticket_id,) = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
        other = "second_approver" if confirmed_by == "approver" else "approver"
        ask(ticket_id)
        respond(ticket_id, answered(tickets.ticket(ticket_id).digest, by=other))
        assert tickets.ticket(ticket_id).state == "done"


@pytest.mark.parametrize("change", ["living", "structure", "halted", "watched again", "used", "config"])
def test_approval_of_what_has_changed_meanwhile_is_refused(
    connection, instance, living, folder, asked, change, monkeypatch
):
    batch_id = add_batch(connection, *FLAG, (5, "redis_flag", "string", "flag:{user}:5", None))
    instance.set("flag:1:1", 1)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    ask(ticket_id)
    if change == "living":
        (served,) = plan_tickets(
            "x", [Structure(9, "redis_flag", "string", "flag:{user}:5", None)], LivingPoints((), {}),
            cleanup_databases.instances_by_cluster(), get_config(),
        ).tickets[0].structures  # fmt: skip
        living.value = LivingPoints((served,), {})
    elif change == "structure":
        Repositories(connection).structures.save(
            batch_id, [Structure(5, "redis_flag", "string", "flag:{user}:55", None)]
        )
    elif change == "halted":
        Repositories(connection).observations.halt(batch_id, "used again")
    elif change == "watched again":  # halted and released while the question waited
        later = "UPDATE points_lifecycle.batch SET observe_until = '2099-01-01' WHERE batch_id = %s"
        execute(connection, later, batch_id)
    elif change == "used":  # and no observation has seen it
        sign = Sign("use", 5, "upd_eid_5", NOW, 1)
        monkeypatch.setattr(points_databases, "signs_now", lambda *_: [sign])
    else:
        wider = get_config().model_copy(update={"variables": {"default": "[^-]"}})
        monkeypatch.setattr(cleanup_databases, "get_config", lambda: wider)
    reasons = {
        "halted": "used again",
        "watched again": "is not due",
        "used": r"is halted: 1 downlined points show signs of life: \[5\]",
    }
    reason = reasons.get(change, "was made with digest")
    with pytest.raises(AirflowFailException, match=reason):
        respond(ticket_id, answered(digest))
    assert instance.get("flag:1:1") == b"1"
    halted = Repositories(connection).batches.get(batch_id).halted_at is not None
    assert halted is (change in ("halted", "used"))  # so that it can be released


def test_ticket_is_executed_once(connection, instance, living, folder, asked):
    batch_id = add_batch(connection, *FLAG)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    approve(ticket_id, digest)
    instance.set("flag:1:1", 1)
    with pytest.raises(AirflowFailException, match="is done"):
        execute_clean(ticket_id)
    with pytest.raises(AirflowFailException, match="changed after it was shown"):
        respond(ticket_id, answered(digest))
    new_run()
    with pytest.raises(AirflowFailException, match="is done"):
        execute_clean(ticket_id)
    assert instance.get("flag:1:1") == b"1"


def test_dba_ticket_is_never_executed_here(connection, instance, living, folder, asked):
    batch_id = add_batch(connection, (3, "redis_mq", "string", "mq:{user}:3", None))
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    with pytest.raises(AirflowFailException, match="executor is dba"):
        execute_clean(f"{batch_id}/redis_mq/dba_whole")


def test_stopped_sweep_goes_on_in_the_same_run_without_asking_again(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, *FLAG)
    instance.mset({f"flag:{n}:1": "x" for n in range(50)})
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    monkeypatch.setattr(
        "operators.points.cleanup.redis_cleanup_operator.Variable", SimpleNamespace(get=lambda *_, **__: "true")
    )
    with pytest.raises(AirflowFailException, match="stop switch"):
        approve(ticket_id, digest)
    assert TicketRepository(connection).ticket(ticket_id).state == "incomplete"
    assert instance.dbsize() == 50
    monkeypatch.setattr(
        "operators.points.cleanup.redis_cleanup_operator.Variable", SimpleNamespace(get=lambda *_, **__: "false")
    )
    assert execute_clean(ticket_id)["deleted"] == 50
    assert instance.dbsize() == 0


def test_another_run_has_no_approval_and_asks(connection, instance, living, folder, asked, monkeypatch):
    batch_id = add_batch(connection, *FLAG)
    instance.set("flag:1:1", 1)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    monkeypatch.setattr(RedisCleanupOperator, "_sweep", lambda *_: pytest.fail("swept"))
    ask(ticket_id)
    first = RUN.run_id
    with pytest.raises(BaseException, match="swept"):
        respond(ticket_id, answered(digest))
    new_run()
    ask(ticket_id)
    new_run(first)  # A7: the run id is used again, or the run ended and was cleared
    with pytest.raises(AirflowFailException, match="was used before"):
        execute_clean(ticket_id)
    with pytest.raises(AirflowFailException, match="was used before"):
        respond(ticket_id, answered(digest))
    assert instance.get("flag:1:1") == b"1"


@pytest.mark.parametrize("kind", ["approved", "started", "finished"])
def test_killed_between_two_steps_a_retry_ends_what_was_approved(
    connection, instance, living, folder, asked, monkeypatch, kind
):
    batch_id = add_batch(connection, *FLAG)
    instance.mset({f"flag:{n}:1": "x" for n in range(20)})
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    ask(ticket_id)
    add = ApprovalRepository.add

    def dying(repository, event):
        if kind == "finished" and event.kind == kind:
            raise KeyboardInterrupt
        add(repository, event)
        if event.kind == kind:
            raise KeyboardInterrupt

    monkeypatch.setattr(ApprovalRepository, "add", dying)
    with pytest.raises(KeyboardInterrupt):
        respond(ticket_id, answered(TicketRepository(connection).ticket(ticket_id).digest))
    monkeypatch.setattr(ApprovalRepository, "add", add)
    assert instance.dbsize() == (0 if kind == "finished" else 20)
    assert execute_clean(ticket_id)["deleted"] == 20
    assert instance.dbsize() == 0
    assert [event.kind for event in kept()] == ["asked", "approved", "started", "finished"]


def test_a_row_of_a_ticket_is_no_approval(connection, instance, living, folder, asked):
    """Whatever a ticket's row says of its state and its approver: nothing is swept without the approval beside it."""
    batch_id = add_batch(connection, *FLAG)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    execute(
        connection,
        "UPDATE points_lifecycle.cleanup_ticket SET state = 'running', approved_by = 'approver' WHERE ticket_id = %s",
        ticket_id,
    )
    ask(ticket_id)
    store = TicketRepository(connection)
    with cleanup_databases.cleanup_repositories() as (_, repositories), approvals() as repository:
        ticket = cleanup_databases.plan_batch(batch_id, store, repositories).ticket(ticket_id)
        forged = Approved("approver", kept()[0].question_digest, datetime.now(UTC))
        with (
            pytest.raises(ApprovalRefusedError, match="No approval of cleanup"),
            store.execution(ticket, forged, repository),
        ):
            pytest.fail("executed")


def test_a_ticket_that_another_person_asked_about_in_the_same_task_is_refused(
    connection, instance, living, folder, asked
):
    """A4 for tickets: write_tickets is cleared, and the first mapped task would ask about another ticket."""
    batch_id = add_batch(connection, *FLAG)
    first, second = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    ask(first)
    with pytest.raises(AirflowFailException, match="text of the first question"):
        clean(second).execute(of_ticket(first))


@pytest.mark.parametrize("change", [{"state": "confirmed"}, {"observed_days": -1}, {"state": "cleaned"}])
def test_batch_that_is_not_due_gets_no_tickets(connection, living, folder, change):
    batch_id = add_batch(connection, *FLAG, **change)
    with pytest.raises(RefusedError, match="is not due"):
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())


@pytest.mark.parametrize("fault", ["an error", "a refusal", "a lost connection"])
def test_a_batch_without_tickets_keeps_no_other_from_its_cleanup_and_fails_the_run(
    connection, instance, living, folder, monkeypatch, fault
):
    first, broken, last = (add_batch(connection, (5, "redis_flag", "string", "flag:{user}:5", None)) for _ in range(3))
    plan = cleanup_ticket_operator.plan_batch

    def failing(batch_id, tickets, repositories):
        if batch_id != broken:
            return plan(batch_id, tickets, repositories)
        if fault == "a lost connection":
            repositories.connection.close()
            return plan(batch_id, tickets, repositories)
        raise (RefusedError if fault == "a refusal" else RuntimeError)("template {a}{b} cannot be read")

    monkeypatch.setattr(cleanup_ticket_operator, "plan_batch", failing)
    made = CleanupTicketOperator(task_id="write_tickets").execute(context())
    assert {ticket.partition("/")[0] for ticket in made} >= {first, last}
    assert not [ticket for ticket in made if ticket.startswith(broken)]
    check = CleanupTicketsMadeOperator(task_id="every_batch_has_tickets")
    with pytest.raises(AirflowException, match=rf"1 batches have no tickets, the others go on: {broken}: \w+"):
        check.execute(context())
    monkeypatch.setattr(cleanup_ticket_operator, "plan_batch", plan)  # the task was killed, and tried again
    assert [t for t in CleanupTicketOperator(task_id="write_tickets").execute(context()) if t.startswith(broken)]
    check.execute(context())


def test_a_batch_whose_report_fails_keeps_no_other_from_its_report(connection, instance, living, folder, monkeypatch):
    first, broken, last = (add_batch(connection, (5, "redis_flag", "string", "flag:{user}:5", None)) for _ in range(3))
    CleanupTicketOperator(task_id="write_tickets").execute(context())
    write = cleanup_report_operator.write_result

    def failing(path, result):
        if result.batch_id == broken:
            raise OSError("disk full")
        write(path, result)

    monkeypatch.setattr(cleanup_report_operator, "write_result", failing)
    with pytest.raises(AirflowException, match=rf"1 batches could not be reported.*{broken}: OSError: disk full"):
        CleanupReportOperator(task_id="report").execute(context())
    for batch_id in (first, last):
        assert (folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.xlsx").is_file()


def test_served_points_come_from_both_environments_and_nos_once(stack, connection, monkeypatch):
    config = stack.require("mysql", "nos").config
    created = {"intranet": (101, "redis_flag"), "extranet": (102, "redis_evt_A")}
    owners = {
        environment: MySQLdb.connect(
            host=config.host("mysql"), port=config.port("MYSQL_PORT"), user=f"{environment}_schema",
            password=config.secret(f"mysql_{environment}_schema"), database=f"cvs_{environment}",
        )
        for environment in created
    }  # fmt: skip
    for environment, (eid, cluster) in created.items():
        opened = owners[environment]
        columns = "id INT, status INT, people TEXT, lv1 TEXT, lv2 TEXT, description TEXT, `table` TEXT, modeltype TEXT,"
        execute(opened, "DROP TABLE IF EXISTS define_nosdata_cleanuptest")
        execute(
            opened,
            f"CREATE TABLE define_nosdata_cleanuptest ({columns} cluster TEXT, demand TEXT,"
            " last_modify_time DATETIME, created_time DATETIME)",
        )
        execute(
            opened,
            "INSERT INTO define_nosdata_cleanuptest (id, status, cluster) VALUES (%s, 1, %s), (103, -80, %s),"
            " (104, 1, 'redis_mq')",
            eid, cluster, cluster,
        )  # fmt: skip
        # Nobody has said that this is no definition table: what lives in it is served.
        execute(opened, "DROP TABLE IF EXISTS define_nosdata_cleanuptest_2")
        execute(
            opened, f"CREATE TABLE define_nosdata_cleanuptest_2 AS SELECT {eid + 10} id, 1 status, 'redis_flag' cluster"
        )
    store = TicketRepository(connection)
    living = cleanup_databases.living_points({"redis_flag", "redis_evt_old"}, store)
    assert {101, 102, 111, 112} <= living.eids  # redis_evt_A shares evt-004-redis with redis_evt_old
    assert not {103, 104} & living.eids
    monkeypatch.setattr(cleanup_databases, "NosHook", lambda *_: pytest.fail("asked again"))
    assert cleanup_databases.living_points({"redis_flag", "redis_evt_old"}, store) == living
    for opened in owners.values():
        execute(opened, "DROP TABLE define_nosdata_cleanuptest, define_nosdata_cleanuptest_2")
        opened.close()


# --- the ledger on the real server ------------------------------------------------------------------------
def test_ledger_keeps_binary_names_and_values(connection):
    ledger = MySqlLedger(connection, get_config().samples)
    scan = Scan(f"{uuid.uuid4().hex}/c/own_key", "delete", 1, "utd-001-redis", "127.0.0.1:1", "0" * 32)
    items = [Item(1, b"\x00\xff'\"\\", None), Item(2, b"", b"\n\xe9"), Item(3, "期".encode(), b"%s")]
    ledger.intend(
        scan, items, [Sample(items[1], "hash", None, 3, b"\x00\x80'%(x)s"), Sample(items[0], "string", 5, 9, None)]
    )
    assert ledger.intents(scan.ticket_id, scan.instance) == [(scan, items)]
    assert ledger.sampled(scan.ticket_id, scan.instance) == {1: 1, 2: 1}
    ledger.record(scan, Checkpoint(2**64 - 1), {1: Counts(2, 1, 0)})
    ledger.record(scan, None, {1: Counts(1, 1, 3)})
    assert ledger.checkpoint(scan) == Checkpoint(2**64 - 1)
    assert ledger.counts(scan) == {1: Counts(3, 2, 3)}
    assert ledger.intents(scan.ticket_id, scan.instance) == []
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(
            "SELECT redis_key, field, value FROM points_lifecycle.cleanup_sample"
            " WHERE ticket_id = %s ORDER BY point_id",
            (scan.ticket_id,),
        )
        assert cursor.fetchall() == ((b"\x00\xff'\"\\", None, None), (b"", b"\n\xe9", b"\x00\x80'%(x)s"))


def test_the_use_of_the_last_observed_day_is_waited_for(connection, living, folder):
    """Use on the last day of an observation arrives the day after; until then the batch is not due."""
    batch_id = add_batch(connection, *FLAG, observed_days=0.01)
    last = last_observed_day(
        Repositories(connection).batches.get(batch_id).observe_until, get_settings().business_timezone
    )
    add_evidence(connection, last - timedelta(days=1))
    with pytest.raises(RefusedError, match="the usage evidence of all its days"):
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    add_evidence(connection, last)
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())


def test_a_day_without_evidence_prolongs_the_observation(connection, living, folder):
    """An outage of telemetry is no month without use: each missing or short day is observed after the end."""
    batch_id = add_batch(connection, *FLAG, observed_days=3)
    begun = "UPDATE points_lifecycle.batch SET observe_from = observe_until - INTERVAL 10 DAY WHERE batch_id = %s"
    execute(connection, begun, batch_id)
    batch = Repositories(connection).batches.get(batch_id)
    last = last_observed_day(batch.observe_until, get_settings().business_timezone)
    add_evidence(connection, last + timedelta(days=1))
    for missing in (last - timedelta(days=4), last - timedelta(days=6)):
        execute(connection, "UPDATE rsp_datagovern.evidence_batch_day SET minutes = 3 WHERE pt_dt = %s", missing)
    with pytest.raises(RefusedError, match="is not due"):  # two are missing, one came after the end
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    execute(
        connection,
        "INSERT INTO rsp_datagovern.evidence_batch_day VALUES ('window_cleanup', %s, 1440)",
        last + timedelta(days=2),
    )
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())


@pytest.mark.parametrize(
    ("observe_until", "last"),
    [("2024-09-01T16:00:00", "2024-09-01"), ("2024-09-01T15:59:00", "2024-09-01"), ("2024-09-01T16:01", "2024-09-02")],
)
def test_the_last_day_of_an_observation_is_a_business_day(observe_until, last):
    found = last_observed_day(datetime.fromisoformat(observe_until), "Asia/Shanghai")
    assert found == datetime.fromisoformat(last).date()


@pytest.mark.parametrize("change", ["lock", "halted", "released", "kept", "used", "living", "evidence"])
def test_a_running_sweep_ends_before_the_next_deletion_when_things_change(
    services, connection, instance, living, folder, asked, monkeypatch, change
):
    """The lock is lost, the batch halted, a point back, used or beside a new one, evidence withdrawn: while it runs."""
    batch_id = add_batch(connection, *FLAG)
    begun = "UPDATE points_lifecycle.batch SET observe_from = observe_until - INTERVAL 10 DAY WHERE batch_id = %s"
    execute(connection, begun, batch_id)
    instance.mset({f"flag:{n}:1": "x" for n in range(3000)})
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = TicketRepository(connection).ticket(ticket_id).digest
    ask(ticket_id)
    monkeypatch.setattr(redis_cleanup_operator, "LOOK_SECONDS", 0.0)
    monkeypatch.setattr(redis_cleanup_operator, "PLAN_SECONDS", 0.0)
    record, calls = MySqlLedger.record, []

    def then_things_change(ledger, scan, checkpoint, counts):
        record(ledger, scan, checkpoint, counts)
        calls.append(scan)
        if len(calls) != 1:
            return
        if change == "lock":
            with contextlib.closing(connection.cursor()) as cursor:
                cursor.execute("SELECT IS_USED_LOCK(%s)", (lock_name(ticket_id),))
                execute(connection, f"KILL {cursor.fetchone()[0]}")
        elif change == "halted":
            Repositories(connection).observations.halt(batch_id, "used again")
        elif change == "released":  # between two of its looks: what was written meanwhile is behind its scan
            Repositories(connection).observations.halt(batch_id, "used again")
            release(connection, batch_id)
        elif change == "kept":
            monkeypatch.setattr(cleanup_databases, "kept_points", lambda *_: {1: "It is served."})
        elif change == "living":  # a new point, whose keys could be those of point 1
            (served,) = plan_tickets(
                "x", [Structure(9, "redis_flag", "string", "flag:{user}:1", None)], LivingPoints((), {}),
                cleanup_databases.instances_by_cluster(), get_config(),
            ).tickets[0].structures  # fmt: skip
            living.value = LivingPoints((served,), {})
        elif change == "evidence":
            withdrawn = "UPDATE rsp_datagovern.evidence_batch_day SET minutes = 3 WHERE pt_dt <> %s"
            execute(connection, withdrawn, points_databases.evidence_expected_until())
        else:
            monkeypatch.setattr(points_databases, "signs_now", lambda *_: [Sign("use", 1, "upd_eid_1", NOW, 1)])

    monkeypatch.setattr(MySqlLedger, "record", then_things_change)
    reason = {
        "lock": "is lost",
        "halted": "halted: used again",
        "released": "is withdrawn",
        "kept": "It is served",
        "used": "signs of life",
        "living": "does not follow from the batch",
        "evidence": "is not due",
    }
    with pytest.raises(AirflowFailException, match=reason[change]):
        respond(ticket_id, answered(digest))
    assert 0 < instance.dbsize() < 3000
    left = 3000 - instance.dbsize()
    assert left <= 1000, "only what was approved before the change was deleted"
    state = TicketRepository(connection).ticket(ticket_id).state
    assert state == {"lock": "running", "released": "withdrawn"}.get(change, "incomplete")
    halted = Repositories(connection).batches.get(batch_id).halted_at is not None
    assert halted is (change in ("halted", "used"))


def test_tickets_of_points_that_come_back_are_withdrawn_unless_they_are_being_executed(connection, living, folder):
    batch_id = add_batch(connection, *FLAG)
    ticket_ids = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())
    store = TicketRepository(connection)
    assert store.withdraw_points(batch_id, {99}) == []
    with cleanup_databases.cleanup_repositories() as (other, _):
        lock = "SELECT GET_LOCK(%s, 0)"
        execute(connection, lock, lock_name(ticket_ids[1]))
        with pytest.raises(TicketStateError, match="is being executed"):
            other.withdraw_points(batch_id, {1, 2})
        execute(connection, "SELECT RELEASE_LOCK(%s)", lock_name(ticket_ids[1]))
        assert {ticket.state for ticket in other.tickets(batch_id)} == {"open"}
        assert other.withdraw_points(batch_id, {1}) == [ticket_ids[1]]
    assert [store.ticket(ticket_id).state for ticket_id in ticket_ids] == ["open", "withdrawn"]


def test_second_sweep_of_a_ticket_is_kept_out(services, connection, living, folder):
    batch_id = add_batch(connection, *FLAG)
    plan = plan_tickets(
        batch_id, [Structure(*FLAG[0])], LivingPoints((), {}), cleanup_databases.instances_by_cluster(), get_config()
    )
    store = TicketRepository(connection)
    store.save_tickets(Repositories(connection).batches.get(batch_id), plan, {})
    (ticket,) = plan.tickets
    refused = pytest.raises(TicketStateError, match="being executed by another task")
    approved = Approved("approver", "q" * 64, NOW)
    allowed = SimpleNamespace(require_under_way=lambda *_: None)
    with (
        cleanup_databases.cleanup_repositories() as (other, _),
        store.execution(ticket, approved, allowed),
        refused,
        other.execution(ticket, approved, allowed),
    ):
        pytest.fail("two sweeps of one ticket")


VICTIM = """
import json, sys
sys.path[:0] = ["plugins"]
import MySQLdb, redis
from redis.cluster import RedisCluster
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.instance import RedisInstance
from drawsguard.points.cleanup.mysql_ledger import MySqlLedger
from drawsguard.points.cleanup.structure import read_structure
from drawsguard.points.cleanup.sweep import Sweep
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.database import fetch, prepare, statement
from drawsguard.points.downline.structure_repository import Structure

config, arguments = get_config(), json.loads(sys.argv[1])
stored = Structure(1, "redis_flag", "string", "flag:{user}:1", None)
ticket = Ticket(arguments["batch"], "redis_flag", config.routes[2], ("utd-001-redis",),
                (read_structure(stored, config.variable_classes),))
settings = config.sweep.model_copy(update={"scan_count": 50, "batch_items": 20})
kind = RedisCluster if arguments["cluster"] else redis.Redis
instance = RedisInstance("utd-001-redis", lambda: kind(**arguments["redis"]))
ledger = MySqlLedger(prepare(MySQLdb.connect(**arguments["mysql"])), config.samples)
print("ready", flush=True)
Sweep(ticket, [instance], ledger, settings, config.samples, throttle=Throttle(1e9, 500, 1000)).run()
"""


@pytest.fixture(params=["single", "cluster"])
def killed_on(request):
    """A client of a server or of a cluster of six, how the victim connects to it, and what happens after each death."""
    if request.param == "single":
        client = request.getfixturevalue("instance")
        options = client.get_connection_kwargs()
        yield client, {name: options[name] for name in ("port", "password", "db")}, lambda: None
        return
    cluster = Cluster(replicas=1, node_timeout_ms=1000)
    slots = iter(range(0, 16384, 311))

    def reshard():
        for slot in itertools.islice(slots, 3):
            target = next(port for port in cluster.masters() if port != cluster.owner(slot))
            Migration(cluster, slot, target).open().send().close()

    with contextlib.closing(cluster.client()) as client:
        yield client, {"host": "127.0.0.1", "port": cluster.servers[0].port}, reshard
    cluster.close()


def test_sweep_killed_by_sigkill_again_and_again_counts_every_key_once(services, connection, killed_on):
    client, place, after_death = killed_on
    for n in range(1000):
        client.set(f"flag:{n}:1", "x")
        client.set(f"flag:{n}:2", "x")
    config = services.config
    arguments = {
        "batch": f"k{uuid.uuid4().hex[:10]}",
        "cluster": isinstance(client, redis.RedisCluster),
        "redis": place,
        "mysql": {
            "host": config.host("mysql"), "port": config.port("MYSQL_PORT"), "user": "governance",
            "password": config.secret("mysql_governance"), "charset": "utf8mb4",
        },
    }  # fmt: skip
    chance = random.Random(7)
    for kill in (True, True, True, False):
        process = subprocess.Popen(
            [sys.executable, "-c", VICTIM, json.dumps(arguments)], cwd=REPOSITORY, stdout=subprocess.PIPE
        )
        assert process.stdout.readline() == b"ready\n"
        if kill:
            time.sleep(chance.uniform(0.05, 0.3))
            process.send_signal(signal.SIGKILL)
        assert process.wait(timeout=120) == (-signal.SIGKILL if kill else 0)
        if kill:
            after_death()
    assert {key.decode() for key in client.scan_iter(count=1000)} == {f"flag:{n}:2" for n in range(1000)}
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(
            "SELECT phase, SUM(found), SUM(deleted) FROM points_lifecycle.cleanup_count"
            " WHERE ticket_id = %s GROUP BY phase",
            (f"{arguments['batch']}/redis_flag/own_key",),
        )
        assert cursor.fetchall() == (("delete", 1000, 1000),)
