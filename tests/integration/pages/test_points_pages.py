"""The pages of the points on a real server: what is shown, to whom, in which language, and when nothing answers."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from drawsguard.approvals.model import Event, Kind, Place
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.points.database import close
from tests.integration.pages_world import (
    WAITING,
    Doings,
    make_batches,
    make_evidence,
    reader,
    rights_of,
    send,
    sources_of,
)
from tests.integration.points_world import BATCH, EVIDENCE, World, new_world, small_world

pytestmark = pytest.mark.integration


@pytest.fixture(scope="module")
def world(stack: Any) -> Iterator[World]:
    made = new_world(stack.require("mysql").config)
    made.load(*small_world())
    yield made
    close(made.governance)


@pytest.fixture(scope="module")
def batches(world: World) -> None:
    make_batches(world)


def text_of(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return " ".join(answer.text.split())


def test_an_empty_lifecycle_says_where_to_begin(world: World) -> None:
    page = text_of(reader(sources_of(world)).get("points"))
    assert "还没有批次" in page
    assert 'href="/dags/points_usage_report"' in page


def test_the_board_says_who_is_waited_for(world: World, batches: None) -> None:
    page = text_of(reader(sources_of(world, [WAITING])).get("points"))
    assert "等待审批:approver, second_approver" in page
    assert 'href="/dags/points_downline/runs/manual__1/tasks/countersign_extranet/required_actions"' in page
    assert "2026-03-01 09:30" in page, "the time of the question, in Beijing"
    intranet = page.split('aria-label="−80 内网"')[1].split('aria-label="−80 外网"')[0]
    assert f'<h4><a href="/operations/points/batch?id={BATCH}">{BATCH}</a></h4>' in intranet
    assert "<b>1</b> / 30" in intranet
    reported = page.split('aria-label="已出报告"')[1].split("</section>")[0]
    assert "审核人填写工作簿" in reported
    assert "alert(1)" in reported
    assert "<script>alert" not in page


def test_an_approval_counts_until_it_expires_or_is_used_up(world: World, batches: None) -> None:
    world.repositories.batches.save_report("b2", "intranet", world.report().window, world.report().rows)
    world.sql("governance", "UPDATE points_lifecycle.batch SET state = 'confirmed' WHERE batch_id = 'b2'")
    now = datetime.now(UTC)

    def column(kind: Kind, **changes: Any) -> str:
        place = Place("points_downline", f"manual__{kind}", now, "countersign_intranet")
        event = Event(kind, "downline", "b2/intranet", "d" * 64, "2" * 64, "execute", place, "requester")
        ApprovalRepository(world.governance).add(replace(event, **changes))
        page = text_of(reader(sources_of(world)).get("points?lang=en"))
        return page.split(">b2</a></h4>")[0].rsplit('aria-label="', 1)[1].split('"')[0]

    past, later = now - timedelta(hours=1), now + timedelta(hours=72)
    assert column(Kind.APPROVED, responded_at=past, expires_at=past) == "Confirmed"
    assert column(Kind.APPROVED, responded_at=now, expires_at=later) == "Approved"
    assert column(Kind.STARTED, approved_id=999) == "Approved"
    assert column(Kind.FINISHED, approved_id=999) == "Confirmed"


def test_english_is_a_switch_away_and_remembered(world: World, batches: None) -> None:
    person = reader(sources_of(world))
    assert '<html lang="zh-CN">' in person.get("points").text
    assert "Nothing waits for an approval." in text_of(person.get("points?lang=en"))
    assert '<html lang="en">' in person.get("points").text
    assert '<html lang="zh-CN">' in person.get("points?lang=<script>").text


def test_days_without_evidence_are_missing_and_named(world: World, batches: None) -> None:
    yesterday = make_evidence(world)
    page = text_of(reader(sources_of(world)).get("points"))
    counted = {kind: page.count(f'<rect class="{kind}"') for kind in ("complete", "partial", "rejected", "missing")}
    assert counted == {"complete": 176, "partial": 1, "rejected": 1, "missing": 2}
    assert f"{yesterday - timedelta(days=1)} 不足 700 分钟" in page
    assert f"{yesterday - timedelta(days=2)} 被拒 1440 分钟" in page
    assert '<b class="bad">被拒绝</b>' in page


def test_a_server_that_does_not_answer_is_a_clear_page(world: World) -> None:
    @contextmanager
    def refused(*_: str) -> Iterator[Any]:
        raise ConnectionRefusedError("mysql.internal:3306 as root")
        yield

    answer = reader(replace(sources_of(world), governance=refused)).get("points?lang=en")
    assert answer.status_code == 503
    assert "MySQL does not answer" in answer.text
    assert "mysql.internal" not in answer.text, "hosts and accounts are for the log"


# --- a point's life -------------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def lived(world: World, batches: None) -> None:
    """Point 1 has a decision, a structure, a change on the intranet, a question, a sign of use and freed keys."""
    repositories = world.repositories
    sign = {"batch_id": BATCH, "kind": "use", "oper_type": "que_eid_1", "point_id": 1, "seen_count": 7}
    repositories.observations.save([sign | {"last_seen": "2026-03-02 08:00:00"}])
    world.sql(
        "governance",
        "INSERT INTO points_lifecycle.cleanup_ticket (ticket_id, batch_id, cluster, class, executor, digest, points,"
        " instances, state, passes, approved_by, made_at, started_at, finished_at)"
        f" VALUES ('{BATCH}/t1', '{BATCH}', 'redis_evt_A', 'evt', 'own', REPEAT('a', 64), 1, '[]', 'done', 1,"
        " 'approver', UTC_TIMESTAMP(6), UTC_TIMESTAMP(6), UTC_TIMESTAMP(6))",
    )
    world.sql(
        "governance",
        "INSERT INTO points_lifecycle.cleanup_point (batch_id, point_id, cluster, ticket_id)"
        f" VALUES ('{BATCH}', 1, 'redis_evt_A', '{BATCH}/t1')",
    )
    for instance, deleted in (("one", 1200), ("two", 34)):
        world.sql(
            "governance",
            "INSERT INTO points_lifecycle.cleanup_count (ticket_id, phase, pass_number, instance, identity, point_id,"
            f" found, deleted, wrong_type) VALUES ('{BATCH}/t1', 'delete', 1, %s, 'i', 1, %s, %s, 0)",
            instance, deleted, deleted,
        )  # fmt: skip


def test_a_points_life_is_told_from_candidate_to_freed_keys(world: World, lived: None) -> None:
    page = text_of(reader(sources_of(world)).get("point?id=1&lang=en"))
    told = page.split('<ol class="moments">')[1].split("</ol>")[0]
    for what in (
        "Became a candidate",
        "Decided",
        "Structure learnt",
        "Taken out of service",
        "Use seen",
        "Cleanup done",
    ):
        assert f"<b>{what}</b>" in told, what
    assert told.index("Became a candidate") < told.index("Taken out of service") < told.index("Cleanup begun")
    assert "<dd>1,234</dd>" in page, "keys freed, of all masters"
    assert "<dt>status · intranet</dt><dd>-80</dd>" in page
    assert "<dt>status · extranet</dt><dd>1</dd>" in page
    assert "501 积分域 501" in page
    assert "evt:1" in told
    assert "approver" in page
    assert "downline b1/extranet: requester" in told


def test_use_by_the_point_and_by_its_tag_is_shown(world: World, batches: None) -> None:
    for name in ("que_eid_6", "upd_tag_502", "que_eid_66", "que_tag_503"):
        world.sql(
            "governance",
            "INSERT INTO rsp_datagovern.ads_evt_ops_status_ago (batch_id, oper_type, oper_ts, eid)"
            " VALUES (%s, %s, '2024-07-03 04:05:00', 4321)",
            EVIDENCE, name,
        )  # fmt: skip
    usage = text_of(reader(sources_of(world)).get("point?id=3")).split('id="usage"')[1].split("</section>")[0]
    assert usage.count("4,321") == 1
    assert "按域 502" in usage
    alone = text_of(reader(sources_of(world)).get("point?id=6")).split('id="usage"')[1].split("</section>")[0]
    assert alone.count("4,321") == 1
    assert "2024-07-03 04:05" in alone


def test_the_export_holds_the_same_and_starts_no_formula(world: World, lived: None) -> None:
    world.sql("intranet", "UPDATE define_nosdata_general SET people = '=cmd|x' WHERE id = 7")
    person = reader(sources_of(world))
    answer = person.get("point.csv?id=1&lang=en")
    assert answer.headers["Content-Disposition"] == "attachment; filename=point_1.csv"
    rows = list(csv.reader(io.StringIO(answer.text.removeprefix("\ufeff"))))
    assert rows[0][:4] == ["point", "about", "environment", "batch"]
    assert next(row[5] for row in rows if row[1] == "event") == "Became a candidate"
    assert ["1", "event", "", BATCH] in [row[:4] for row in rows]
    other = list(csv.reader(io.StringIO(person.get("point.csv?id=7").text)))
    assert [cell for row in other for cell in row if cell.startswith(("=", "+", "-", "@"))] == []
    assert any("'=cmd|x" in cell for row in other for cell in row)


@pytest.mark.parametrize(
    ("asked", "status", "said"),
    [
        ("", 200, "输入一个积分 id"),
        ("%3Cscript%3Ealert(1)%3C/script%3E", 400, "&lt;script&gt;alert(1)"),
        ("-1", 400, "一串数字"),
        ("9" * 19, 400, "一串数字"),
        ("987654", 200, "都没有这个积分"),
        (" 9000 ", 200, "没有批次把它列为候选"),
    ],
)
def test_what_is_no_point_is_said(world: World, batches: None, asked: str, status: int, said: str) -> None:
    answer = reader(sources_of(world)).get(f"point?id={asked}")
    assert answer.status_code == status
    assert said in answer.text
    assert "<script>alert" not in answer.text


def test_an_environment_that_does_not_answer_is_named_and_the_rest_is_shown(world: World, lived: None) -> None:
    @contextmanager
    def half(name: str) -> Iterator[Any]:
        if name == "extranet":
            raise ConnectionRefusedError
        with world.environment(name) as connection:
            yield connection

    page = text_of(reader(replace(sources_of(world), environment=half)).get("point?id=1&lang=en"))
    assert "The MySQL server of the extranet does not answer" in page
    assert "<dt>status · extranet</dt><dd>–</dd>" in page
    assert "<b>Taken out of service</b>" in page


# --- a batch --------------------------------------------------------------------------------------------------
def test_a_batch_is_told_by_group_plan_and_ticket(world: World, lived: None) -> None:
    world.sql(
        "governance",
        "UPDATE points_lifecycle.cleanup_ticket SET state = 'running', estimated_keys = 2468, finished_at = NULL,"
        " started_at = UTC_TIMESTAMP(6) - INTERVAL 100 SECOND WHERE ticket_id = %s",
        f"{BATCH}/t1",
    )
    world.sql(
        "governance",
        "INSERT INTO points_lifecycle.cleanup_scan (ticket_id, phase, pass_number, instance, identity, master,"
        " cursor_position, done, updated_at) SELECT ticket_id, 'delete', 1, 'one', 'i', 'm', 7, FALSE,"
        " started_at + INTERVAL 100 SECOND FROM points_lifecycle.cleanup_ticket WHERE ticket_id = %s",
        f"{BATCH}/t1",
    )
    page = text_of(reader(sources_of(world)).get(f"points/batch?id={BATCH}&lang=en"))
    clusters = page.split('id="by-cluster"')[1].split("</details>")[0]
    assert "redis_evt_A</th>" in clusters
    owners = page.split('id="by-owner"')[1].split("</details>")[0]
    assert "chenwei</th>" in owners
    differences = page.split('id="differences"')[1].split("</section>")[0]
    assert 'href="/operations/point?id=7"' in differences, "it is on the intranet only"
    cleanup = page.split('id="cleanup"')[1]
    assert '<td class="n">1,234</td><td class="n">2,468</td><td class="n">12.3</td><td>1 min</td>' in cleanup


def test_a_batch_that_is_not_known_is_said(world: World) -> None:
    answer = reader(sources_of(world)).get("points/batch?id=%3Cscript%3Ealert(1)&lang=en")
    assert answer.status_code == 404
    assert "There is no such batch" in answer.text
    assert "<script>alert" not in answer.text


# --- what a restore would bring back --------------------------------------------------------------------------
def restore_of(page: str) -> str:
    return page.split('id="restore"')[1].split("</section>")[0]


def test_a_batch_shows_what_a_restore_would_bring_back_and_who_may(world: World, lived: None) -> None:
    shown = restore_of(text_of(reader(sources_of(world)).get(f"points/batch?id={BATCH}&lang=en")))
    counted = world.sql(
        "governance",
        "SELECT COUNT(*) FROM points_lifecycle.batch_row WHERE batch_id = %s AND environment = 'intranet'"
        " AND state = 'downlined'",
        BATCH,
    )[0][0]  # fmt: skip
    assert f"intranet · {counted} rows would come back" in shown
    assert "extranet ·" not in shown, "nothing was changed there"
    assert '<th scope="row">define_nosdata_general</th><td>redis_evt_A</td><td class="n">−80</td>' in shown
    assert "(approver, second_approver)" in shown
    assert "What was cleaned up in Redis does not come back: 1,234" in shown
    own = restore_of(text_of(reader(sources_of(world), rights_of("approver")).get(f"points/batch?id={BATCH}&lang=en")))
    assert "(second_approver)" in own, "nobody approves what they asked for"
    chinese = restore_of(text_of(reader(sources_of(world)).get(f"points/batch?id={BATCH}&lang=zh")))
    assert f"内网 · {counted} 行可恢复" in chinese
    assert "开始恢复：先由另一人批准" in chinese


def test_a_batch_that_changed_nothing_has_nothing_to_restore(world: World, batches: None) -> None:
    page = text_of(reader(sources_of(world)).get("points/batch?id=b2&lang=en"))
    assert "there is nothing to restore" in restore_of(page)


@pytest.mark.parametrize(
    ("typed", "ids", "dry_run"), [("", [], "yes"), (" 1, 2;3\n2，00000000004 ", [1, 2, 3, 4], "no")]
)
def test_a_restore_is_started_as_the_person_with_its_params_filled_in(
    world: World, lived: None, typed: str, ids: list[int], dry_run: str
) -> None:
    doings = Doings()
    person = reader(sources_of(world), rights_of("requester"), doings)
    shown = person.get(f"points/batch?id={BATCH}&lang=en").text
    fields = {"batch": BATCH, "environment": "intranet", "ids": typed, "dry_run": dry_run}
    answer = send(person, shown, "points/restore", fields)
    assert "points_restore" in text_of(answer)
    params = {"batch_id": BATCH, "environment": "intranet", "ids": ids, "dry_run": dry_run == "yes"}
    assert doings.runs == [("points_restore", params, "requester")]


@pytest.mark.parametrize(
    ("changes", "status"),
    [
        ({"environment": "extranet"}, 404),
        ({"environment": "<script>alert(1)</script>"}, 404),
        ({"batch": "<script>alert(1)</script>"}, 404),
        ({"batch": "b2"}, 404),
        ({"ids": "1 <script>alert(1)</script>"}, 409),
        ({"ids": "１"}, 409),
        ({"ids": "-1"}, 409),
        ({"ids": " ".join(map(str, range(1001)))}, 409),
    ],
)
def test_what_cannot_be_restored_starts_nothing(
    world: World, lived: None, changes: dict[str, str], status: int
) -> None:
    doings = Doings()
    person = reader(sources_of(world), None, doings)
    shown = person.get(f"points/batch?id={BATCH}&lang=en").text
    fields = {"batch": BATCH, "environment": "intranet", "ids": "", "dry_run": "no"}
    answer = send(person, shown, "points/restore", fields | changes)
    assert answer.status_code == status
    assert "<script>alert" not in answer.text
    assert doings.runs == []


def test_who_may_not_restore_sees_what_would_come_back_and_no_form(world: World, lived: None) -> None:
    doings = Doings()
    looker = reader(sources_of(world), rights_of(may_trigger=lambda dag_id: dag_id != "points_restore"), doings)
    shown = restore_of(text_of(looker.get(f"points/batch?id={BATCH}&lang=en")))
    assert "rows would come back" in shown
    assert "<form" not in shown
    assert "Restoring takes the right to trigger points_restore." in shown
    assert looker.post("points/restore", data={}, headers={"Sec-Fetch-Site": "same-origin"}).status_code == 403
    assert doings.runs == []
