"""Cleanup from the lifecycle's tables to empty Redis: tickets, four eyes, refusals, resuming, the result report."""

from __future__ import annotations

import contextlib
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
from airflow.sdk.exceptions import AirflowFailException, TaskAwaitingInput
from openpyxl import load_workbook

from drawsguard.points.approval import DIGEST_FIELD
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.ledger import Checkpoint, Counts, Item, Sample, Scan
from drawsguard.points.cleanup.store import CleanupStore, MySqlLedger, TicketStateError
from drawsguard.points.cleanup.ticket import LivingPoints, plan_tickets
from drawsguard.points.database import prepare
from drawsguard.points.lifecycle import Lifecycle, Structure
from drawsguard.settings import REPOSITORY, get_settings
from operators import cleanup_desk
from operators.cleanup_report_operator import CleanupReportOperator
from operators.cleanup_ticket_operator import CleanupTicketOperator
from operators.dba_ticket_operator import DbaTicketDoneOperator
from operators.redis_cleanup_operator import RedisCleanupOperator

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
    Lifecycle(opened).migrate()
    CleanupStore(opened).migrate()
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
    Lifecycle(connection).save_structures(batch_id, [Structure(*structure) for structure in structures])
    return batch_id


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
    monkeypatch.setattr(cleanup_desk, "living_points", lambda *_: points.value)
    return points


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.setenv("DRAWSGUARD_POINTS_ARTIFACT_DIR", str(tmp_path))
    get_settings.cache_clear()
    yield tmp_path
    get_settings.cache_clear()


def context(task_id="clean", run_id="run-1", triggered_by=None):
    run = SimpleNamespace(dag_id="points_cleanup", run_id=run_id, triggering_user_name=triggered_by, run_type="manual")
    task = SimpleNamespace(id=uuid.uuid4(), dag_id=run.dag_id, run_id=run_id, task_id=task_id, map_index=0)
    return {"dag_run": run, "ti": task, "task_instance": task, "run_id": run_id}


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
    monkeypatch.setattr("operators.redis_cleanup_operator.Variable", SimpleNamespace(get=lambda *_, **__: ""))
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
        (ticket_id, None, "names no user"),
        (own[0], "dba", "executor is own"),
        (f"{batch_id}/redis_mq/other", "dba", "is not known"),
    ):
        with pytest.raises(AirflowFailException, match=reason):
            close(wrong, person)
    assert close(ticket_id) == batch_id
    with pytest.raises(AirflowFailException, match="is done"):
        close(ticket_id)
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
    store = CleanupStore(connection)
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
        with pytest.raises(TaskAwaitingInput):
            clean(ticket_id).execute(context())
        clean(ticket_id).execute_complete(context(), answered(tickets[ticket_id].digest))
    assert [detail["assigned_users"] for detail in asked] == [
        [{"id": "approver", "name": "approver"}, {"id": "second_approver", "name": "second_approver"}]
    ] * 2
    assert sorted(instance.keys()) == [b"flag:5:11", b"flag:total", b"flag:x:1"]
    assert instance.hkeys("flag:total") == [b"3:2024-01-01"]

    reported = CleanupReportOperator(task_id="report").execute(context())
    assert reported[batch_id] == {"closed": True, "deleted": 330, "left": 0}
    text = (folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.md").read_text(encoding="utf-8")
    assert "| redis_flag | 2 | 2 | 0 | 0 | 330 | 330 | 0 | 0 |" in text
    assert "| redis_mq | 1 | 0 | 1 | 0 |" in text
    assert "No routing rule" in text
    assert (
        load_workbook(folder / batch_id / "cleanup" / f"积分清理结果-{batch_id}.xlsx")["集群 clusters"]["G4"].value
        == 330
    )
    assert Lifecycle(connection).batch(batch_id).state == "cleaned"
    the_dba_ticket_is_closed_by_a_person_and_once(connection, batch_id, own, folder)
    events = [event["event"] for event in Lifecycle(connection).events(batch_id)]
    assert events == [
        "cleanup_tickets",
        *["cleanup_started", "cleanup_ended"] * 2,
        "cleanup_reported",
        "dba_ticket_done",
        "cleanup_reported",
    ]
    approvals = Lifecycle(connection).approvals(batch_id)
    assert [(a["action"], a["decision"], a["responder"]) for a in approvals] == [
        ("cleanup", "approved", "approver")
    ] * 2


@pytest.mark.parametrize(
    ("event", "reason"),
    [
        (lambda digest: answered(digest, by="requester"), "requester may not approve"),
        (lambda digest: answered(digest, by="somebody"), "somebody may not approve"),
        (lambda digest: answered(digest, by=None), "Nobody answered in time"),
        (lambda _: {"error": "timeout", "error_type": "timeout"}, "Nobody answered in time"),
        (lambda digest: answered(digest, option="Reject"), "did not approve"),
        (lambda _: answered("0" * 64), "changed after it was shown"),
        (lambda _: answered(None), "came without the form"),
    ],
)
def test_answer_that_is_no_approval_deletes_nothing(connection, instance, living, folder, asked, event, reason):
    batch_id = add_batch(connection, *FLAG)
    instance.set("flag:1:1", 1)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = CleanupStore(connection).ticket(ticket_id).digest
    with pytest.raises(AirflowFailException, match=reason):
        clean(ticket_id).execute_complete(context(), event(digest))
    assert instance.get("flag:1:1") == b"1"
    (approval,) = Lifecycle(connection).approvals(batch_id)
    assert approval["decision"] in ("refused", "rejected")


def test_confirmer_of_the_batch_cannot_approve_a_run_that_another_triggered(
    connection, instance, living, folder, asked
):
    batch_id = add_batch(connection, *FLAG, confirmed_by="approver")
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = CleanupStore(connection).ticket(ticket_id).digest
    for user in ("approver", "second_approver"):
        with pytest.raises(AirflowFailException, match=r"may not approve|Nobody is left"):
            clean(ticket_id).execute_complete(context(triggered_by="second_approver"), answered(digest, by=user))


def test_nobody_left_to_approve_is_refused_before_asking(connection, instance, living, folder, asked, monkeypatch):
    monkeypatch.setenv("DRAWSGUARD_APPROVERS", "requester")
    get_settings.cache_clear()
    batch_id = add_batch(connection, *FLAG)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    with pytest.raises(AirflowFailException, match="Nobody is left"):
        clean(ticket_id).execute(context())
    assert not asked


@pytest.mark.parametrize("change", ["living", "structure", "halted", "config"])
def test_approval_of_what_has_changed_meanwhile_is_refused(
    connection, instance, living, folder, asked, change, monkeypatch
):
    batch_id = add_batch(connection, *FLAG, (5, "redis_flag", "string", "flag:{user}:5", None))
    instance.set("flag:1:1", 1)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = CleanupStore(connection).ticket(ticket_id).digest
    if change == "living":
        (served,) = plan_tickets(
            "x", [Structure(9, "redis_flag", "string", "flag:{user}:5", None)], LivingPoints((), {}),
            cleanup_desk.instances_by_cluster(), get_config(),
        ).tickets[0].structures  # fmt: skip
        living.value = LivingPoints((served,), {})
    elif change == "structure":
        Lifecycle(connection).save_structures(batch_id, [Structure(5, "redis_flag", "string", "flag:{user}:55", None)])
    elif change == "halted":
        Lifecycle(connection).halt(batch_id, "used again")
    else:
        wider = get_config().model_copy(update={"variables": {"default": "[^-]"}})
        monkeypatch.setattr(cleanup_desk, "get_config", lambda: wider)
    with pytest.raises(AirflowFailException, match="used again" if change == "halted" else "was made with digest"):
        clean(ticket_id).execute_complete(context(), answered(digest))
    assert instance.get("flag:1:1") == b"1"


def test_ticket_is_executed_once(connection, instance, living, folder, asked):
    batch_id = add_batch(connection, *FLAG)
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = CleanupStore(connection).ticket(ticket_id).digest
    clean(ticket_id).execute_complete(context(), answered(digest))
    instance.set("flag:1:1", 1)
    for attempt in (lambda t: t.execute(context()), lambda t: t.execute_complete(context(), answered(digest))):
        with pytest.raises(AirflowFailException, match="is done"):
            attempt(clean(ticket_id))
    assert instance.get("flag:1:1") == b"1"


def test_dba_ticket_is_never_executed_here(connection, instance, living, folder, asked):
    batch_id = add_batch(connection, (3, "redis_mq", "string", "mq:{user}:3", None))
    assert CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context()) == []
    with pytest.raises(AirflowFailException, match="executor is dba"):
        clean(f"{batch_id}/redis_mq/dba_whole").execute(context())


def test_stopped_sweep_goes_on_in_the_same_run_without_asking_again(
    connection, instance, living, folder, asked, monkeypatch
):
    batch_id = add_batch(connection, *FLAG)
    instance.mset({f"flag:{n}:1": "x" for n in range(50)})
    ticket_id = CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())[1]
    digest = CleanupStore(connection).ticket(ticket_id).digest
    monkeypatch.setattr("operators.redis_cleanup_operator.Variable", SimpleNamespace(get=lambda *_, **__: "true"))
    with pytest.raises(AirflowFailException, match="stop switch"):
        clean(ticket_id).execute_complete(context(), answered(digest))
    assert CleanupStore(connection).ticket(ticket_id).state == "incomplete"
    assert instance.dbsize() == 50
    monkeypatch.setattr("operators.redis_cleanup_operator.Variable", SimpleNamespace(get=lambda *_, **__: "false"))
    with pytest.raises(TaskAwaitingInput):
        clean(ticket_id).execute(context(run_id="run-2"))  # another run has no approval
    assert clean(ticket_id).execute(context())["deleted"] == 50
    assert instance.dbsize() == 0


@pytest.mark.parametrize("change", [{"state": "confirmed"}, {"observed_days": -1}, {"state": "cleaned"}])
def test_batch_that_is_not_due_gets_no_tickets(connection, living, folder, change):
    batch_id = add_batch(connection, *FLAG, **change)
    with pytest.raises(ValueError, match="is not due"):
        CleanupTicketOperator(task_id="t", batch_id=batch_id).execute(context())


def test_served_points_come_from_both_environments_and_nos_once(stack, connection, monkeypatch):
    config = stack.require("mysql", "nos").config
    created = {"intranet": (101, "redis_flag"), "extranet": (102, "redis_evt_A")}
    for environment, (eid, cluster) in created.items():
        opened = MySQLdb.connect(
            host=config.host("mysql"), port=config.port("MYSQL_PORT"), user=environment,
            password=config.secret(f"mysql_{environment}"), database=f"cvs_{environment}",
        )  # fmt: skip
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
        opened.close()
    store = CleanupStore(connection)
    living = cleanup_desk.living_points({"redis_flag", "redis_evt_old"}, store)
    assert {101, 102} <= living.eids  # redis_evt_A shares evt-004-redis with redis_evt_old
    assert not {103, 104} & living.eids
    monkeypatch.setattr(cleanup_desk, "NosHook", lambda *_: pytest.fail("asked again"))
    assert cleanup_desk.living_points({"redis_flag", "redis_evt_old"}, store) == living


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


def test_second_sweep_of_a_ticket_is_kept_out(services, connection, living, folder):
    batch_id = add_batch(connection, *FLAG)
    plan = plan_tickets(
        batch_id, [Structure(*FLAG[0])], LivingPoints((), {}), cleanup_desk.instances_by_cluster(), get_config()
    )
    store = CleanupStore(connection)
    store.save_tickets(batch_id, plan, {})
    (ticket,) = plan.tickets
    refused = pytest.raises(TicketStateError, match="being executed by another task")
    with cleanup_desk.desk() as (other, _), store.execution(ticket, "approver"), refused, other.execution(ticket, "x"):
        pytest.fail("two sweeps of one ticket")


VICTIM = """
import json, sys
sys.path[:0] = ["plugins"]
import MySQLdb, redis
from drawsguard.points.cleanup.config import get_config
from drawsguard.points.cleanup.instance import RedisInstance
from drawsguard.points.cleanup.store import MySqlLedger
from drawsguard.points.cleanup.structure import read_structure
from drawsguard.points.cleanup.sweep import Sweep
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.database import prepare
from drawsguard.points.lifecycle import Structure

config, arguments = get_config(), json.loads(sys.argv[1])
stored = Structure(1, "redis_flag", "string", "flag:{user}:1", None)
ticket = Ticket(arguments["batch"], "redis_flag", config.routes[2], ("utd-001-redis",),
                (read_structure(stored, config.variable_classes),))
settings = config.sweep.model_copy(update={"scan_count": 50, "batch_items": 20})
instance = RedisInstance("utd-001-redis", lambda: redis.Redis(**arguments["redis"]))
ledger = MySqlLedger(prepare(MySQLdb.connect(**arguments["mysql"])), config.samples)
print("ready", flush=True)
Sweep(ticket, [instance], ledger, settings, config.samples, throttle=Throttle(1e9, 4000, 1000)).run()
"""


def test_sweep_killed_by_sigkill_again_and_again_counts_every_key_once(services, connection, instance):
    instance.mset({f"flag:{n}:1": "x" for n in range(1000)} | {f"flag:{n}:2": "x" for n in range(1000)})
    config = services.config
    arguments = {
        "batch": f"k{uuid.uuid4().hex[:10]}",
        "redis": {"port": config.port("REDIS_PORT"), "password": config.secret("redis"), "db": database_of_instance()},
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
    assert instance.dbsize() == 1000
    with contextlib.closing(connection.cursor()) as cursor:
        cursor.execute(
            "SELECT phase, SUM(found), SUM(deleted) FROM points_lifecycle.cleanup_count"
            " WHERE ticket_id = %s GROUP BY phase",
            (f"{arguments['batch']}/redis_flag/own_key",),
        )
        assert cursor.fetchall() == (("delete", 1000, 1000),)
