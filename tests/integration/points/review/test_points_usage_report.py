"""The report's operators on real servers: workbook, text, mails, and refusals; and the observation of a batch."""

from __future__ import annotations

import mailbox
import smtplib
import uuid
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from email.header import decode_header, make_header
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk.exceptions import AirflowException, AirflowFailException
from openpyxl import load_workbook

from drawsguard.alerts import signals
from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.message import Text
from drawsguard.alerts.state import Alert
from drawsguard.dry_run import is_dry_run
from drawsguard.monitoring.checks import load_checks
from drawsguard.points.cleanup.ticket_repository import TicketRepository
from drawsguard.points.database import close
from drawsguard.points.downline import observe as observe_rules
from drawsguard.points.downline.execution import Execution
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.observed_days import last_observed_day
from drawsguard.points.downline.release import lift_halt
from drawsguard.points.downline.restore import plan_restore
from drawsguard.points.environments import ENVIRONMENTS
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from drawsguard.warehouse.monitoring_repository import MonitoringRepository
from hooks import cleanup_databases, points_databases
from local.config import MYSQL_GRANTS
from local.golden.load import confirm
from notifiers.told_once import NotAllToldError
from operators.points.downline import points_observe_operator
from operators.points.downline.points_confirm_operator import PointsConfirmOperator
from operators.points.downline.points_downline_report_operator import PointsDownlineReportOperator
from operators.points.downline.points_observe_operator import PointsObserveOperator
from operators.points.downline.points_plan_operator import PointsPlanOperator
from operators.points.downline.points_restore_plan_operator import PointsRestorePlanOperator
from operators.points.review.points_report_mail_operator import PointsReportMailOperator
from operators.points.review.points_usage_report_operator import PointsUsageReportOperator
from tests.integration.draws_warehouse import draws_warehouse
from tests.integration.points_world import BATCH, TODAY, WINDOW, World, new_world, small_world

pytestmark = pytest.mark.integration


@pytest.fixture
def world(stack: Any, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[World]:
    """A small world that nobody has reported yet, an artifact folder, and an empty mail box."""
    made = new_world(stack.require("mysql", "smtp").config)
    made.load(*small_world())
    made.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    monkeypatch.setenv("DRAWSGUARD_ARTIFACTS_ADDRESS", str(tmp_path))
    get_settings.cache_clear()
    monkeypatch.setattr(points_databases, "business_today", lambda: TODAY)
    # The evidence of another day is due at one moment of each day: a test has one.
    expected = points_databases.evidence_expected_until()
    monkeypatch.setattr(points_databases, "evidence_expected_until", lambda: expected)
    for mail in box(made).keys():  # noqa: SIM118 - a mailbox is no dictionary
        box(made).remove(mail)
    yield made
    get_settings.cache_clear()
    close(made.governance)


def box(world: World) -> mailbox.Maildir:
    return mailbox.Maildir(world.config.state / "smtp" / "maildir", create=True)


def mails(world: World) -> dict[str, Any]:
    return {f"{mail['To']}: {make_header(decode_header(mail['Subject']))}": mail for mail in box(world)}


def context(*, dry_run: bool = False) -> Any:
    run = SimpleNamespace(triggering_user_name="requester")
    return {"dag_run": run, "run_id": f"manual__{uuid.uuid4()}", "params": {"dry_run": dry_run}}


def make_report() -> str:
    evidence = f"window_{WINDOW.last}"
    task = PointsUsageReportOperator(task_id="r", environment="intranet", batch_id=BATCH, evidence_batch=evidence)
    return task.execute(context())


def test_the_report_leaves_workbook_text_and_batch(world: World, tmp_path: Path) -> None:
    assert make_report() == BATCH
    text = (tmp_path / BATCH / f"review-{BATCH}.tsv").read_text(encoding="utf-8").splitlines()
    assert len(text) == 1 + 10
    assert text[0].startswith("类 class\t积分 id\t集群 cluster")
    book = load_workbook(tmp_path / BATCH / f"review-{BATCH}.xlsx", read_only=True)
    assert book.sheetnames[0] == "汇总 summary"
    assert world.repositories.batches.get(BATCH).state == "reported"
    assert len(world.repositories.batches.candidates(BATCH)) == 10


def test_a_report_that_runs_twice_gives_the_same_batch(world: World) -> None:
    make_report()
    digest = world.repositories.batches.get(BATCH).digest
    make_report()
    assert world.repositories.batches.get(BATCH).digest == digest
    assert len(world.repositories.batches.candidates(BATCH)) == 10


def test_the_team_gets_the_workbook_and_every_owner_their_own_list(world: World) -> None:
    intranet, extranet = small_world()
    rows = intranet.points["define_nosdata_general"]
    rows[:2] = [rows[0]._replace(people="wangfang"), rows[1]._replace(people="")]
    world.load(intranet, extranet)
    make_report()
    mailed = PointsReportMailOperator(task_id="m", batch_id=BATCH).execute(context())
    assert mailed == {"chenwei": 8, "wangfang": 1, "": 1}
    sent = mails(world)
    assert len(sent) == 4
    (team,) = [mail for name, mail in sent.items() if "Points review b1: 10" in name]
    assert [part.get_filename() for part in team.walk() if part.get_filename()] == [f"review-{BATCH}.xlsx"]
    (owner,) = [mail for name, mail in sent.items() if name.startswith("wangfang@example.com")]
    body = owner.get_payload(1).get_payload(decode=True).decode()  # the first part is the plain text
    assert "积分 1<" in body
    assert "积分 3" not in body
    assert sum(name.startswith(get_settings().points_email) for name in sent) == 2  # the workbook, and what nobody owns


def test_an_address_that_is_refused_keeps_no_other_owner_uninformed(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    intranet, extranet = small_world()
    rows = intranet.points["define_nosdata_general"]
    rows[:2] = [rows[0]._replace(people="aaa"), rows[1]._replace(people="lin, wu")]
    world.load(intranet, extranet)
    make_report()
    send = SmtpHook.send_email_smtp

    def refusing(self: SmtpHook, *, to: Any, **how: Any) -> None:
        if "aaa@example.com" in to or (how.get("files") and refused):
            raise smtplib.SMTPRecipientsRefused({str(to): (550, b"no such user")})
        send(self, to=to, **how)

    monkeypatch.setattr(SmtpHook, "send_email_smtp", refusing)
    refused, ran = ["the workbook, once"], context()
    task = PointsReportMailOperator(task_id="m", batch_id=BATCH)
    with pytest.raises(NotAllToldError, match=r"2 of \d mails .*workbook: .*owner aaa: SMTPRecipientsRefused"):
        task.execute(ran)
    told = sorted(mail["To"] for mail in box(world))
    assert told == ["chenwei@example.com", get_settings().points_email]  # lin, wu is no one person's address
    refused.clear()
    with pytest.raises(NotAllToldError, match=r"1 of \d mails"):
        task.execute(ran)
    assert sorted(mail["To"] for mail in box(world)) == sorted([*told, get_settings().points_email])


def test_incomplete_evidence_makes_neither_batch_nor_workbook(world: World, tmp_path: Path) -> None:
    world.sql("governance", "UPDATE rsp_datagovern.evidence_batch_day SET minutes = 700 WHERE pt_dt = '2024-06-06'")
    with pytest.raises(AirflowFailException, match=r"2024-06-06 \(700 min\)"):
        make_report()
    assert world.repositories.batches.known(BATCH) is None
    assert list(tmp_path.rglob("*.xlsx")) == []


def test_a_confirmed_workbook_is_read_and_another_file_is_not(world: World, tmp_path: Path) -> None:
    make_report()
    confirm(tmp_path / BATCH / f"review-{BATCH}.xlsx", tmp_path / "done.xlsx", [1, 2])
    assert PointsConfirmOperator(task_id="c", workbook="done.xlsx").execute(context()) == BATCH
    batch = world.repositories.batches.get(BATCH)
    assert (batch.state, batch.confirmed_by) == ("confirmed", "requester")
    assert world.plan("intranet").plan.points() == {1, 2}
    for path in ("missing.xlsx", "../../etc/passwd", ""):
        with pytest.raises(RefusedError, match="There is no workbook"):
            PointsConfirmOperator(task_id="c", workbook=path).execute(context())


def everything(world: World, folder: Path) -> dict[str, Any]:
    """Every row of every table that the lifecycle can write, and every file of its folder."""
    found: dict[str, Any] = {str(path): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    for server, schemas in MYSQL_GRANTS.items():
        for schema in schemas:
            tables = f"SELECT table_name FROM information_schema.tables WHERE table_schema = '{schema}'"
            for (table,) in world.sql(server, tables):
                found[f"{schema}.{table}"] = sorted(world.sql(server, f"SELECT * FROM `{schema}`.`{table}`"), key=str)
    return found


def test_a_dry_run_changes_nothing_at_all(world: World, tmp_path: Path) -> None:
    make_report()
    review = tmp_path / BATCH / f"review-{BATCH}.xlsx"
    confirm(review, tmp_path / "first.xlsx", [1])
    confirm(review, tmp_path / "other.xlsx", [1, 2])

    def play(workbook: str, dry_run: bool) -> Any:
        now = context(dry_run=dry_run)
        assert PointsConfirmOperator(task_id="c", workbook=workbook).execute(now) == BATCH
        plan = PointsPlanOperator(task_id="p", batch_id=BATCH, environment="intranet", workbook=workbook)
        return plan.execute(now)["counts"]["points"]["total"]

    before = everything(world, tmp_path)
    assert play("first.xlsx", True) == 1
    assert everything(world, tmp_path) == before, "of a batch that nobody confirmed"
    assert play("first.xlsx", False) == 1
    confirmed = everything(world, tmp_path)
    assert confirmed != before
    assert play("other.xlsx", True) == 2
    assert everything(world, tmp_path) == confirmed, "of a confirmed batch, with another workbook"
    planned = world.prepare_change("intranet")
    with world.environment("intranet") as connection:
        world.execute(planned, connection)
    downlined = everything(world, tmp_path)
    asked = {"batch_id": BATCH, "environment": "intranet", "ids": "[]"}
    assert PointsRestorePlanOperator(task_id="r", **asked).execute(context(dry_run=True))["rows"] == 1
    assert everything(world, tmp_path) == downlined
    with pytest.raises(AirflowFailException, match="decisions can no longer change"):
        play("other.xlsx", True)


@pytest.mark.parametrize(
    "params", [None, {}, {"dry_run": None}, {"dry_run": "false"}, {"dry_run": 0}, {"dry_run": True}]
)
def test_whatever_is_not_exactly_false_is_a_dry_run(params: Any) -> None:
    assert is_dry_run(params)
    assert not is_dry_run({"dry_run": False})


def test_the_result_goes_to_workbook_audit_and_mail(world: World, tmp_path: Path) -> None:
    world.confirm()
    world.downline("intranet")
    counts = PointsDownlineReportOperator(task_id="r", batch_id=BATCH).execute(context())
    assert (counts["intranet"]["points"]["total"], counts["extranet"]["points"]["total"]) == (10, 0)
    assert (tmp_path / BATCH / f"audit-{BATCH}.jsonl").read_text(encoding="utf-8").count('"candidate"') == 10
    assert load_workbook(tmp_path / BATCH / f"result-{BATCH}.xlsx").sheetnames == [
        "汇总 summary",
        "明细 rows",
        "差异 differences",
    ]
    (mail,) = [mail for name, mail in mails(world).items() if "Downline result b1" in name]
    assert len([part for part in mail.walk() if part.get_filename()]) == 2


# --- observation --------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def monitor(stack: Any) -> Iterator[MonitoringRepository]:
    """The monitor's tables, where the observation raises its alerts."""
    with draws_warehouse(stack, "V040__alert_log", "V041__check_log") as client:
        yield MonitoringRepository(client, dag_id="test", task_id="test")


class Channel(list[Text]):
    """Takes every message."""

    def send(self, text: Text) -> tuple[list[str], list[str]]:
        self.append(text)
        return ["chat"], []

    def names(self) -> set[str]:
        return {"chat"}


def alert(monitor: MonitoringRepository, channel: Channel, now: datetime) -> Alert | None:
    """Run a round of the monitor and return the batch's open alert."""
    manager = AlertManager(monitor, load_alert_config(), load_checks(), get_settings(), run_id="monitor")
    manager.round([], channel, now)
    return manager.board(now + timedelta(days=1)).open_alert(f"points:points_observe.{BATCH}")


def observe(world: World, days_left: int, metric: str | None = None) -> dict[str, int]:
    """Downline the batch, move its observation so that ``days_left`` remain, let a metric appear, and watch."""
    world.confirm()
    world.downline("intranet")
    world.repositories.plans.copy_journal(BATCH, "intranet", world.journal("intranet"))
    now = datetime.now(UTC).replace(tzinfo=None)
    world.sql(
        "governance",
        "UPDATE points_lifecycle.batch SET state = 'downlined', observe_from = %s, observe_until = %s",
        now - timedelta(days=30 - days_left),
        now + timedelta(days=days_left, minutes=-1),
    )
    world.cover(points_databases.evidence_expected_until())
    if metric:
        seen = datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None)
        world.sql("governance", "INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES (%s, %s, 3)", metric, seen)
    return PointsObserveOperator(task_id="o").execute(context())


@pytest.mark.usefixtures("monitor")
def test_use_after_the_downline_halts_the_batch_and_offers_the_restore(world: World) -> None:
    assert observe(world, 20, "que_eid_4") == {BATCH: 1}
    batch = world.repositories.batches.get(BATCH)
    assert batch.halted_at is not None
    assert "[4]" in str(batch.halted_reason)
    (mail,) = mails(world).values()
    body = mail.get_payload(0).get_payload(decode=True).decode()
    assert "points_restore" in body
    assert '"ids": [4]' in body


def test_use_is_one_p1_alert_that_is_told_and_ends_with_the_restore(
    world: World, monitor: MonitoringRepository
) -> None:
    observe(world, 20, "que_eid_4")
    PointsObserveOperator(task_id="o").execute(context())
    channel, now = Channel(), datetime.now(UTC)
    fired = alert(monitor, channel, now)
    assert fired is not None
    assert fired.priority == "P1"
    alert(monitor, channel, now + timedelta(minutes=10))
    (text,) = channel
    assert text.chat_only, "the observation has sent its own mail"
    for part in ("1 downlined points show use", "/zh/points-observe.md", "/dags/points_observe"):
        assert part in text.body, part
    # Restored: also a batch that is halted beyond the end of its observation is looked at until nothing is left.
    world.sql("governance", "UPDATE points_lifecycle.batch SET observe_until = UTC_TIMESTAMP() - INTERVAL 1 DAY")
    world.sql("governance", "UPDATE points_lifecycle.batch_row SET state = 'restored' WHERE row_id = 4")
    assert PointsObserveOperator(task_id="o").execute(context()) == {BATCH: 0}
    for minutes in (20, 30):
        ended = alert(monitor, channel, now + timedelta(minutes=minutes))
    assert ended is None
    assert len(channel) == 2


def test_use_whose_mail_was_refused_is_an_alert_that_is_mailed(
    world: World, monitor: MonitoringRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise ConnectionRefusedError("no mail today")

    monkeypatch.setattr(points_observe_operator, "send_mail", refuse)
    with pytest.raises(AirflowException, match="no mail today"):
        observe(world, 20, "que_eid_4")
    channel, now = Channel(), datetime.now(UTC)
    for minutes in (0, 10):
        alert(monitor, channel, now + timedelta(minutes=minutes))
    assert [text.chat_only for text in channel] == [False]


def test_a_push_that_failed_is_no_evidence_and_neither_no_sign_nor_the_end_of_an_alert(
    world: World, monitor: MonitoringRepository
) -> None:
    observe(world, 20, "que_eid_4")
    assert alert(monitor, Channel(), datetime.now(UTC)) is not None
    world.sql("governance", "DELETE FROM rsp_datagovern.ads_evt_ops_status")
    expected = points_databases.evidence_expected_until()
    world.sql("governance", "DELETE FROM rsp_datagovern.evidence_batch_day WHERE pt_dt = %s", expected)
    with pytest.raises(AirflowException, match=rf"{BATCH}: EvidenceRefusedError: no evidence for {expected}"):
        PointsObserveOperator(task_id="o").execute(context())
    assert alert(monitor, Channel(), datetime.now(UTC)) is not None
    # A day that is missing further back is observed later, and keeps nothing from being said today.
    world.cover(expected, expected - timedelta(days=3))
    days = points_databases.observed_now(
        world.repositories,
        *world.sql("governance", "SELECT observe_from, observe_until FROM points_lifecycle.batch")[0],
    )
    assert days.missing == (str(expected - timedelta(days=3)),)
    assert PointsObserveOperator(task_id="o").execute(context()) == {BATCH: 0}


@pytest.mark.usefixtures("monitor")
def test_a_batch_that_cannot_be_watched_keeps_no_other_from_being_watched(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    observe(world, 20)
    for batch_id in ("a0", "z9"):  # before it and after it
        world.sql(
            "governance",
            "INSERT INTO points_lifecycle.batch (batch_id, environment, window_start, window_end, candidates,"
            " candidate_digest, state, created_at, observe_from, observe_until) SELECT %s, environment, window_start,"
            " window_end, candidates, candidate_digest, state, created_at, observe_from, observe_until"
            " FROM points_lifecycle.batch WHERE batch_id = %s",
            batch_id, BATCH,
        )  # fmt: skip
    look = points_databases.signs_now

    def losing(opened: Any, batch_id: str, observed_from: datetime) -> Any:
        if batch_id == "a0":
            opened.connection.close()
        return look(opened, batch_id, observed_from)

    monkeypatch.setattr(points_databases, "signs_now", losing)
    seen = datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None)
    world.sql("governance", "INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES ('que_eid_4', %s, 3)", seen)
    with pytest.raises(AirflowException, match=r"1 batches could not be watched, the others were: .*a0: \w+Error"):
        PointsObserveOperator(task_id="o").execute(context())
    assert world.repositories.batches.get(BATCH).halted_at is not None


@pytest.mark.usefixtures("monitor")
@pytest.mark.parametrize("long_ago", [True, False])
def test_rows_that_were_changed_and_never_verified_are_watched_and_named(
    world: World, monkeypatch: pytest.MonkeyPatch, long_ago: bool
) -> None:
    """The downline was killed: the batch is being downlined, and only the journal knows its rows."""
    world.confirm()
    world.downline("intranet")
    world.cover(points_databases.evidence_expected_until())
    seen = datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None)
    world.sql("governance", "INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES ('que_eid_4', %s, 3)", seen)
    operator = PointsObserveOperator(task_id="o")
    if long_ago:
        monkeypatch.setattr(observe_rules, "VERIFIED_WITHIN", timedelta(0))
        with pytest.raises(AirflowException, match=rf"{BATCH}: UnverifiedError: its downline was begun at"):
            operator.execute(context())
    else:
        assert operator.execute(context()) == {BATCH: 1}
    batch = world.repositories.batches.get(BATCH)
    assert (batch.state, batch.observe_from) == ("downlining", None)
    assert "[4]" in str(batch.halted_reason)


@pytest.mark.usefixtures("monitor")
def test_a_batch_of_which_nothing_was_changed_yet_is_not_watched(world: World) -> None:
    world.confirm()
    world.sql("governance", "UPDATE points_lifecycle.batch SET state = 'downlining'")
    assert PointsObserveOperator(task_id="o").execute(context()) == {}


def unreachable(name: str) -> Any:
    raise OSError(f"{name} cannot be reached")


@pytest.mark.parametrize("by_hand", ["nothing", "put back", "put back beside an older row at -80", "deleted"])
@pytest.mark.parametrize("verified", [False, True])
def test_a_downline_that_broke_off_and_was_restored_is_over(
    world: World, monitor: MonitoringRepository, monkeypatch: pytest.MonkeyPatch, verified: bool, by_hand: str
) -> None:
    """The intranet broke off; or it was verified, and the extranet broke off. Everything was restored, as advised.

    No restore plans a row that somebody put back or deleted before: its journal entry stays as it is.
    """
    world.confirm()
    world.downline("intranet")
    if verified:
        world.repositories.observations.start(BATCH, 30)
        world.downline("extranet")
    world.cover(points_databases.evidence_expected_until())
    seen = datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None)
    world.sql("governance", "INSERT INTO rsp_datagovern.ads_evt_ops_status VALUES ('que_eid_4', %s, 3)", seen)
    PointsObserveOperator(task_id="o").execute(context())
    key = observe_rules.alert_key(BATCH)
    assert signals.firing_run(monitor, key, datetime.now(UTC))
    if by_hand == "deleted":
        world.sql("intranet", "DELETE FROM define_nosdata_general WHERE id = 4")
    elif by_hand != "nothing":
        world.sql("intranet", "UPDATE define_nosdata_general SET status = 1 WHERE id = 4")
    if by_hand == "put back beside an older row at -80":
        world.sql("intranet", "INSERT INTO define_nosdata_general SELECT * FROM define_nosdata_general WHERE id = 4")
        world.sql("intranet", "UPDATE define_nosdata_general SET status = -80, people = 'x' WHERE id = 4 LIMIT 1")
    for name in ENVIRONMENTS if verified else ("intranet",):
        with world.environment(name) as connection:
            journal = Journal(connection, BATCH, name)
            plan = plan_restore(connection, journal, BATCH, name)
            Execution(connection, journal, lambda: False, plan.digest, 9).restore(plan)
    monkeypatch.setattr(observe_rules, "VERIFIED_WITHIN", timedelta(0))
    with monkeypatch.context() as patched:
        patched.setattr(points_databases, "environment", unreachable)
        with pytest.raises(AirflowException, match="cannot be reached"):
            PointsObserveOperator(task_id="o").execute(context())
    assert signals.firing_run(monitor, key, datetime.now(UTC))
    assert PointsObserveOperator(task_id="o").execute(context()) == {}
    assert not signals.firing_run(monitor, key, datetime.now(UTC))
    assert world.repositories.batches.get(BATCH).state == "downlining"


def downline_everywhere(world: World, days_left: int) -> None:
    """Downline the batch in both environments, so that ``days_left`` of its observation remain."""
    world.confirm()
    for name in ENVIRONMENTS:
        world.downline(name)
        world.repositories.plans.copy_journal(BATCH, name, world.journal(name))
    now = datetime.now(UTC).replace(tzinfo=None)
    world.sql(
        "governance",
        "UPDATE points_lifecycle.batch SET state = 'downlined', observe_from = %s, observe_until = %s",
        now - timedelta(days=30 - days_left),
        now + timedelta(days=days_left, minutes=-1),
    )
    world.cover(points_databases.evidence_expected_until())


def use_now(world: World, metric: str) -> None:
    seen = datetime.now(ZoneInfo("Asia/Shanghai")).replace(tzinfo=None)
    world.sql("governance", "REPLACE INTO rsp_datagovern.ads_evt_ops_status VALUES (%s, %s, 3)", metric, seen)


PUT_BACK = "UPDATE define_nosdata_general SET status = 1 WHERE id = 4"


@pytest.mark.usefixtures("monitor")
def test_the_use_of_a_point_that_somebody_put_back_everywhere_holds_no_batch(world: World) -> None:
    """Nothing can be restored of it, and it is never cleaned; the others are."""
    downline_everywhere(world, -3)
    for name in ENVIRONMENTS:
        world.sql(name, PUT_BACK)
    use_now(world, "que_eid_4")
    assert PointsObserveOperator(task_id="o").execute(context()) == {BATCH: 0}
    assert world.repositories.batches.get(BATCH).halted_at is None
    assert TicketRepository(world.governance).due_batches("Asia/Shanghai") == [BATCH]
    assert "It is served" in cleanup_databases.kept_points(BATCH, frozenset({4}), world.repositories)[4]
    use_now(world, "que_eid_5")
    assert PointsObserveOperator(task_id="o").execute(context()) == {BATCH: 1}


def test_a_point_that_somebody_put_back_in_one_environment_is_watched_for_the_other(
    world: World, monitor: MonitoringRepository
) -> None:
    downline_everywhere(world, 20)
    world.sql("intranet", PUT_BACK)
    use_now(world, "que_eid_4")
    assert PointsObserveOperator(task_id="o").execute(context()) == {BATCH: 1}
    (mail,) = mails(world).values()
    body = mail.get_payload(0).get_payload(decode=True).decode()
    assert body.count('"ids": [4]') == body.count('"environment": "extranet"') == 1
    assert '"environment": "intranet"' not in body
    key = observe_rules.alert_key(BATCH)
    assert signals.firing_run(monitor, key, datetime.now(UTC))
    world.sql("extranet", PUT_BACK)
    assert PointsObserveOperator(task_id="o").execute(context()) == {BATCH: 0}
    assert not signals.firing_run(monitor, key, datetime.now(UTC))


@pytest.mark.usefixtures("monitor")
def test_use_through_a_tag_counts_as_use_after_the_downline(world: World) -> None:
    assert observe(world, 20, "upd_tag_503") == {BATCH: 3}


@pytest.mark.usefixtures("monitor")
def test_errors_on_a_downlined_point_halt_the_batch_too(world: World) -> None:
    assert observe(world, 20, "err_eid_4") == {BATCH: 1}
    assert world.repositories.batches.get(BATCH).halted_at is not None


@pytest.mark.usefixtures("monitor")
def test_a_quiet_batch_is_not_halted_and_its_owners_are_told_once(world: World) -> None:
    assert observe(world, 14) == {BATCH: 0}
    assert world.repositories.batches.get(BATCH).halted_at is None
    first = mails(world)
    assert [name.split(":")[0] for name in first] == ["chenwei@example.com"]
    PointsObserveOperator(task_id="o").execute(context())
    assert len(box(world)) == 1


@pytest.mark.usefixtures("monitor")
def test_owners_are_told_again_when_the_observation_begins_again(world: World) -> None:
    """The second environment was verified after the notices of the first one's end."""
    observe(world, 14)
    world.sql("governance", "UPDATE points_lifecycle.notice SET sent_at = sent_at - INTERVAL 20 DAY")
    for _ in range(2):
        PointsObserveOperator(task_id="o").execute(context())
        assert len(box(world)) == 2


@pytest.mark.usefixtures("monitor")
def test_owners_are_told_again_after_a_release(world: World) -> None:
    """The batch was halted beyond the date that its owners were told last; its release sets another."""
    observe(world, 7)
    assert len(box(world)) == 1
    world.sql("governance", "UPDATE points_lifecycle.batch SET observe_until = UTC_TIMESTAMP(6) - INTERVAL 5 DAY")
    world.repositories.observations.halt(BATCH, "used")
    lift_halt(world.repositories, world.repositories.batches.get(BATCH), "approver", {"run_id": "r"}, (), ())
    for _ in range(2):
        PointsObserveOperator(task_id="o").execute(context())
        assert len(box(world)) == 2


@pytest.fixture
def notices(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Any]]:
    """What owners are told."""
    told: list[dict[str, Any]] = []

    def send(_to: str, name: str, **values: Any) -> None:
        if name == "cleanup/notice":
            told.append(values)

    monkeypatch.setattr(points_observe_operator, "send_mail", send)
    return told


@pytest.mark.usefixtures("monitor")
def test_no_owner_is_told_a_later_date_than_the_cleanups(world: World, notices: list[dict[str, Any]]) -> None:
    """Three days are short when the owners are told, and repaired before the end: nothing prolongs the observation."""
    downline_everywhere(world, 4)
    expected = points_databases.evidence_expected_until()
    world.cover(expected, *[expected - timedelta(days=number) for number in (3, 4, 5)])
    PointsObserveOperator(task_id="o").execute(context())
    (notice,) = notices
    until = world.repositories.batches.get(BATCH).observe_until
    assert until is not None
    world.cover(last_observed_day(until, "Asia/Shanghai"))
    world.sql("governance", "DELETE FROM rsp_datagovern.evidence_batch WHERE batch_id = %s", f"window_{expected}")
    due_at = until.replace(tzinfo=UTC) + timedelta(days=1)
    assert TicketRepository(world.governance, lambda: due_at).due_batches("Asia/Shanghai") == [BATCH]
    assert notice["until"] <= until


@pytest.mark.usefixtures("monitor")
def test_no_owner_is_told_of_data_that_is_gone(world: World, notices: list[dict[str, Any]]) -> None:
    """One ticket was done before the batch was halted; since its release the owners are told of the others."""
    downline_everywhere(world, 4)
    world.sql(
        "governance",
        "INSERT INTO points_lifecycle.cleanup_ticket (ticket_id, batch_id, cluster, class, executor, digest, points,"
        " instances, state, made_at) VALUES ('t', %s, 'c', 'own_key', 'own', '', 2, '[]', 'done', UTC_TIMESTAMP(6))",
        BATCH,
    )
    world.sql(
        "governance",
        "INSERT INTO points_lifecycle.cleanup_point (batch_id, point_id, cluster, ticket_id) VALUES (%s, 1, 'c', 't'),"
        " (%s, 2, 'c', 't')",
        BATCH, BATCH,
    )  # fmt: skip
    for name in ENVIRONMENTS:
        world.sql(name, PUT_BACK)
    PointsObserveOperator(task_id="o").execute(context())
    assert [notice["notice"].points for notice in notices] == [(3, 5, 6, 7, 11, 12, 13)], "4 is in service again"


@pytest.mark.usefixtures("monitor")
def test_a_batch_far_from_its_cleanup_tells_nobody(world: World) -> None:
    assert observe(world, 25, "que_eid_9999") == {BATCH: 0}
    assert len(box(world)) == 0
