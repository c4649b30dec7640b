"""The approvals table on a real server: what it keeps once, and what it was given from the table before it."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from drawsguard.approvals import rules
from drawsguard.approvals.model import Action, Answer, Kind, Place, Proposal, Question, Role
from drawsguard.approvals.people import Approvers, Person
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.approvals.rules import ApprovalRefusedError
from drawsguard.points.database import close, execute, statements_of
from local.demo.downline import connect

pytestmark = pytest.mark.integration

NOW = datetime.now(UTC)


@pytest.fixture
def repository(stack: Any) -> Iterator[ApprovalRepository]:
    connection = connect(stack.require("mysql").config, "governance")
    yield ApprovalRepository(connection)
    close(connection)


def question(run_id: str | None = None) -> Question:
    place = Place("points_downline", run_id or uuid.uuid4().hex, NOW, "downline_intranet", 3)
    eligible = Approvers.parse("approver=7,role:points_approver").for_request("requester")
    plan = Proposal(Action.DOWNLINE, f"{uuid.uuid4().hex[:8]}/intranet", "d" * 64, "标题 title", "正文\n| body |")
    return Question(plan, Role.EXECUTE, place, "requester", eligible)


def approved(repository: ApprovalRepository, of: Question) -> Any:
    repository.add(rules.asked(of))
    (asked,) = repository.of_run(of.place.dag_id, of.place.run_id)
    given = Answer(("Approve",), Person("approver", "7"), {"digest": "d" * 64}, NOW)
    repository.add(rules.answered(asked, Kind.APPROVED, given, None, timedelta(hours=72)))
    return repository.of_run(of.place.dag_id, of.place.run_id)[-1]


def test_an_event_comes_back_as_it_was_kept(repository: ApprovalRepository) -> None:
    of = question()
    event = approved(repository, of)
    asked = repository.of_run(of.place.dag_id, of.place.run_id)[0]
    assert replace(asked, approval_id=0, recorded_at=None) == rules.asked(of)
    assert event.place == of.place
    assert (event.responder, event.responder_id, event.responded_at) == ("approver", "7", NOW)
    assert event.expires_at == NOW + timedelta(hours=72)
    assert [e.approval_id for e in repository.of_batch(of.proposal.subject.partition("/")[0])] == [
        asked.approval_id,
        event.approval_id,
    ]


def test_an_answer_and_a_use_are_kept_once(repository: ApprovalRepository) -> None:
    event = approved(repository, question())
    with pytest.raises(ApprovalRefusedError, match="once"):
        repository.add(replace(event, approval_id=0, kind=Kind.REFUSED))
    for kind in (Kind.STARTED, Kind.FINISHED):
        repository.add(rules.used(event, kind))
        with pytest.raises(ApprovalRefusedError, match="once"):
            repository.add(rules.used(event, kind))


def test_an_action_is_under_way_between_its_start_and_its_end(repository: ApprovalRepository) -> None:
    of = question()
    event = approved(repository, of)
    wanted = (Action.DOWNLINE, of.proposal.subject, of.proposal.digest, of.digest)

    def refused(*changed: Any, clock: Any = repository.clock) -> None:
        with pytest.raises(ApprovalRefusedError, match="is under way"):
            ApprovalRepository(repository.connection, clock).require_under_way(*changed)

    refused(*wanted)
    repository.add(rules.used(event, Kind.STARTED))
    repository.require_under_way(*wanted)
    refused(Action.RESTORE, *wanted[1:])
    refused(wanted[0], "another", *wanted[2:])
    refused(*wanted[:2], "e" * 64, wanted[3])
    refused(*wanted[:3], "e" * 64)
    refused(*wanted, clock=lambda: NOW + timedelta(hours=73))
    repository.add(rules.used(event, Kind.FINISHED))
    refused(*wanted)


@pytest.fixture
def owner(stack: Any) -> Iterator[Any]:
    """A connection that may change schemas, and the approvals table of version one until it is closed."""
    connection = connect(stack.require("mysql").config, "governance_schema")
    first = (Path(__file__).parents[1] / "points" / "fixtures" / "v1_V001__lifecycle.sql").read_text()
    with closing(connection.cursor()) as cursor:
        cursor.execute(next(text for text in statements_of(first) if "points_lifecycle.approval" in text))
        yield connection
        cursor.execute("DROP TABLE points_lifecycle.approval")
    close(connection)


def test_rows_of_the_table_before_are_history_and_approve_nothing(repository: ApprovalRepository, owner: Any) -> None:
    of, connection = question(), owner
    batch_id, place = of.proposal.subject.partition("/")[0], of.place
    with closing(connection.cursor()) as cursor:
        for decision, responder, at in (("approved", "approver", NOW.replace(tzinfo=None)), ("refused", None, None)):
            cursor.execute(
                "INSERT INTO points_lifecycle.approval (batch_id, environment, action, digest, role, decision,"
                " responder, requester, dag_id, run_id, task_id, responded_at, recorded_at)"
                " VALUES (%s, 'intranet', 'downline', %s, 'execute', %s, %s, 'requester', %s, %s, %s, %s, %s)",
                (
                    batch_id, of.proposal.digest, decision, responder, place.dag_id, place.run_id, place.task_id, at,
                    NOW.replace(tzinfo=None),
                ),
            )  # fmt: skip
    for _ in range(2):
        execute(connection, "schema/governance/copy_old_approvals.sql")
        connection.commit()
    old = repository.of_batch(batch_id)
    assert [(event.kind, event.responder) for event in old] == [("approved", "approver"), ("refused", None)]
    with pytest.raises(ApprovalRefusedError, match="was used before"):
        rules.approval_to_use(old, of.proposal, place, "requester", NOW)
    epoch = replace(place, started_at=datetime(1970, 1, 1, tzinfo=UTC), map_index=-1)
    with pytest.raises(ApprovalRefusedError, match="expired"):
        rules.approval_to_use(old[:1], of.proposal, epoch, "requester", NOW)


@pytest.mark.parametrize("batch_id", ["b%", "b_"])
def test_the_events_of_a_batch_are_its_own(repository: ApprovalRepository, batch_id: str) -> None:
    approved(repository, question())
    assert repository.of_batch(batch_id) == []
