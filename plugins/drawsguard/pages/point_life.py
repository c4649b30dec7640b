"""A point's life: what is known of one id, from its use to the keys that were freed, in the order it happened."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import Decimal
from typing import Any, NamedTuple

from drawsguard.approvals.model import Event, Kind
from drawsguard.approvals.repository import ApprovalRepository
from drawsguard.pages.look import Look, Words
from drawsguard.points import definitions
from drawsguard.points.database import fetch
from drawsguard.points.environments import Environment
from drawsguard.points.sheets import pasted_cell
from drawsguard.points.telemetry.oper_type import OperType, parser

#: Operations and kinds that a metric may name.
_OPERATIONS, _KINDS = ("que", "upd", "err"), ("eid", "tag")

CLASSES: dict[str, Words] = {
    "read_only": Words("只读", "read only"),
    "write_only": Words("只写", "write only"),
    "unused": Words("未使用", "unused"),
}
OPERATIONS: dict[str, Words] = {
    "que": Words("查询", "queries"),
    "upd": Words("更新", "updates"),
    "err": Words("报错", "errors"),
}
KINDS: dict[Kind, Words] = {
    Kind.ASKED: Words("请求审批", "Approval asked for"),
    Kind.APPROVED: Words("已批准", "Approved"),
    Kind.REJECTED: Words("已驳回", "Rejected"),
    Kind.REFUSED: Words("回答无效", "Answer refused"),
    Kind.UNANSWERED: Words("无人回答", "Not answered"),
    Kind.STARTED: Words("开始执行", "Carried out: begun"),
    Kind.FINISHED: Words("执行完毕", "Carried out: done"),
}


class DefinitionRow(NamedTuple):
    """A row of a definition table; times are as the environment has them."""

    table: str
    status: int
    people: str | None
    lv1: str | None
    lv2: str | None
    description: str | None
    modeltype: str | None
    cluster: str | None
    demand: str | None
    last_modify_time: datetime | None
    created_time: datetime | None


class TagRow(NamedTuple):
    """A tag that serves the point."""

    table: str
    tag_id: int
    name: str | None
    status: int


@dataclass(frozen=True)
class Defined:
    """What an environment says of a point now."""

    rows: tuple[DefinitionRow, ...]
    tags: tuple[TagRow, ...]


class Usage(NamedTuple):
    """One metric of the newest evidence; ``last`` is naive business time."""

    metric: OperType
    last: datetime
    times: int


class Candidacy(NamedTuple):
    """A batch in which the point is a candidate; times are naive UTC."""

    batch_id: str
    state: str
    created_at: datetime
    window_start: date
    window_end: date
    confirmed_by: str | None
    observe_from: datetime | None
    observe_until: datetime | None
    halted_at: datetime | None
    point_class: str
    cluster: str
    owner: str
    decision: str | None
    reviewer: str | None
    remark: str | None
    decided_at: datetime | None


class ChangedRow(NamedTuple):
    """A row that a batch planned to change."""

    batch_id: str
    environment: str
    table: str
    old_status: int
    state: str
    reason: str | None
    changed_at: datetime

    @property
    def new_status(self) -> int | None:
        """The status now, as far as batches know; None: it was never changed."""
        return {"downlined": definitions.DOWNLINED, "restored": self.old_status}.get(self.state)


class StructureRow(NamedTuple):
    """How the point is kept in Redis."""

    batch_id: str
    cluster: str
    data_type: str
    key_template: str
    field_template: str | None
    asked_at: datetime


class SignRow(NamedTuple):
    """Use or an error while a batch was observed; ``last_seen`` is naive business time."""

    batch_id: str
    kind: str
    oper_type: str
    last_seen: datetime
    times: int
    observed_at: datetime


class CleanupRow(NamedTuple):
    """What the cleanup did about the point.

    :param unconfirmed: keys or fields that a killed sweep was about to delete; nobody knows whether it did.
    """

    batch_id: str
    cluster: str
    ticket_id: str | None
    reason: str | None
    executor: str | None
    state: str | None
    approved_by: str | None
    started_at: datetime | None
    finished_at: datetime | None
    unconfirmed: int
    freed: Decimal | None


class Moment(NamedTuple):
    """Something that happened; ``at`` is naive UTC, or aware."""

    at: datetime
    what: Words
    batch_id: str
    detail: str


@dataclass(frozen=True)
class Life:
    """What the governance server knows of a point.

    :param evidence: (batch, first day, last day) of the newest evidence; None: nothing was pushed.
    """

    point_id: int
    evidence: tuple[str, date, date] | None
    usage: tuple[Usage, ...]
    candidacies: tuple[Candidacy, ...]
    rows: tuple[ChangedRow, ...]
    structures: tuple[StructureRow, ...]
    signs: tuple[SignRow, ...]
    cleanups: tuple[CleanupRow, ...]
    approvals: tuple[Event, ...]

    @property
    def moments(self) -> list[Moment]:
        """Everything that has a time, oldest first."""
        return sorted(self._moments(), key=lambda one: one.at.replace(tzinfo=None))

    def _moments(self) -> Iterator[Moment]:
        for one in self.candidacies:
            yield Moment(one.created_at, Words("列为候选", "Became a candidate"), one.batch_id, one.point_class)
            if one.decided_at:
                detail = ", ".join(filter(None, (one.decision, one.reviewer, one.remark)))
                yield Moment(one.decided_at, Words("负责人决定", "Decided"), one.batch_id, detail)
            if one.halted_at:
                yield Moment(one.halted_at, Words("批次暂停", "Batch halted"), one.batch_id, "")
        for row in self.rows:
            states = {
                "planned": Words("列入计划", "Planned"),
                "removed": Words("移出计划", "Taken out of the plan"),
                "downlined": Words("下线", "Taken out of service"),
                "restored": Words("恢复", "Restored"),
            }
            after = "" if row.new_status is None else f" {row.old_status} → {row.new_status}"
            if row.state == "restored":
                after = f" {definitions.DOWNLINED} → {row.old_status}"
            detail = f"{row.environment} {row.table}{after} {row.reason or ''}".strip()
            yield Moment(row.changed_at, states.get(row.state, Words(row.state, row.state)), row.batch_id, detail)
        for structure in self.structures:
            detail = " ".join(filter(None, (structure.data_type, structure.key_template, structure.field_template)))
            yield Moment(structure.asked_at, Words("取得存储结构", "Structure learnt"), structure.batch_id, detail)
        for sign in self.signs:
            what = Words("仍有报错", "Errors seen") if sign.kind == "error" else Words("仍被使用", "Use seen")
            yield Moment(sign.observed_at, what, sign.batch_id, f"{sign.oper_type} × {sign.times}")
        for cleanup in self.cleanups:
            if cleanup.started_at:
                begun = Words("开始清理", "Cleanup begun")
                yield Moment(cleanup.started_at, begun, cleanup.batch_id, cleanup.ticket_id or "")
            if cleanup.finished_at:
                done = Words("清理完毕", "Cleanup done")
                yield Moment(cleanup.finished_at, done, cleanup.batch_id, f"{int(cleanup.freed or 0)} keys")
        for event in self.approvals:
            at = event.responded_at or event.recorded_at
            if at:
                person = event.responder or event.requester
                detail = f"{event.action} {event.subject}: {person}" + (f" ({event.reason})" if event.reason else "")
                yield Moment(at, KINDS[event.kind], event.subject.partition("/")[0], detail)


def read_defined(connection: Any, point_id: int) -> Defined:
    """Read what an environment says of a point.

    :param connection: a prepared connection to the environment.
    """
    key = {"point_id": point_id}
    rows = [
        DefinitionRow(table, *row)
        for table in definitions.tables(connection, "point")
        for row in fetch(connection, "pages/definition_of_point.sql", key, table=table)
    ]
    tags = [
        TagRow(table, *row)
        for table in definitions.tables(connection, "tag")
        for row in fetch(connection, "pages/tags_of_point.sql", key, table=table)
    ]
    connection.rollback()
    return Defined(tuple(rows), tuple(tags))


def metrics_of(point_id: int, tags: Sequence[int], pattern: str) -> dict[str, OperType]:
    """Return the names of the metrics that mean the point or one of its tags, as the pattern reads them."""
    parse = parser(pattern)
    found = {}
    for kind, numbers in (("eid", [point_id]), ("tag", tags)):
        for number in numbers:
            for operation in _OPERATIONS:
                name = f"{operation}_{kind}_{number}"
                if parse(name) == OperType(operation, kind, number):
                    found[name] = OperType(operation, kind, number)
    return found


def read_life(connection: Any, point_id: int, tags: Sequence[int], pattern: str) -> Life:
    """Read what the governance server knows of a point.

    :param connection: a prepared connection to the governance server.
    :param tags: ids of the tags that serve it.
    :param pattern: how metrics are named (``oper_type_pattern`` of points.yaml).
    """
    evidence = fetch(connection, "review/newest_evidence.sql", {"evidence_batch": None})
    names = metrics_of(point_id, tags, pattern)
    usage: list[Usage] = []
    if evidence and names:
        values = {"evidence_batch": evidence[0][0], "oper_types": tuple(names)}
        usage = [
            Usage(names[name], last, int(count))
            for name, last, count in fetch(connection, "pages/usage_of_metrics.sql", values)
        ]
    candidacies = [Candidacy(*row) for row in fetch(connection, "pages/candidacies.sql", {"point_id": point_id})]
    batches = tuple(one.batch_id for one in candidacies)
    key = {"batches": batches, "point_id": point_id}

    def about(name: str) -> list[tuple[Any, ...]]:
        return fetch(connection, f"pages/{name}.sql", key) if batches else []

    cleanups = [CleanupRow(*row) for row in about("cleanup_of_point")]
    life = Life(
        point_id,
        tuple(evidence[0]) if evidence else None,
        tuple(usage),
        tuple(candidacies),
        tuple(ChangedRow(*row) for row in about("rows_of_point")),
        tuple(StructureRow(*row) for row in about("structures_of_point")),
        tuple(SignRow(*row) for row in about("signs_of_point")),
        tuple(cleanups),
        tuple(
            event
            for batch_id in batches
            for event in ApprovalRepository(connection).of_batch(batch_id)
            if _concerns(event, {cleanup.ticket_id for cleanup in cleanups})
        ),
    )
    connection.rollback()
    return life


def _concerns(event: Event, tickets: set[str | None]) -> bool:
    """Whether an approval of a batch is about its point: a ticket's is about the points of that ticket alone."""
    return event.action != "cleanup" or event.subject in tickets


# --- export ---------------------------------------------------------------------------------------------------
def csv_of(life: Life, defined: Mapping[Environment, Defined | None], look: Look) -> str:
    """Return everything that is known as a table for Excel: a line a fact.

    :param defined: what each environment says; None for one that does not answer.
    """
    t = look.t
    lines: list[tuple[Any, ...]] = [
        (t("积分", "point"), t("内容", "about"), t("环境", "environment"), t("批次", "batch"),
         t("时间", "time") + f" ({look.zone()})", t("事项", "what"), t("详情", "detail")),
    ]  # fmt: skip

    def add(about: Words, environment: str, batch: str, at: str, what: object, detail: object) -> None:
        lines.append((life.point_id, look.say(about), environment, batch, at, what, detail))

    for environment, known in defined.items():
        if known is None:
            add(Words("定义", "definition"), environment, "", "", t("没有应答", "does not answer"), "")
            continue
        for row in known.rows:
            detail = " | ".join(str(part) for part in row[2:9] if part)
            add(Words("定义", "definition"), environment, "", "", f"{row.table} status {row.status}", detail)
        for tag in known.tags:
            add(Words("域", "tag"), environment, "", "", f"{tag.table} {tag.tag_id} status {tag.status}", tag.name)
    for one in life.usage:
        what = f"{one.metric.operation}_{one.metric.kind}_{one.metric.number}"
        add(Words("使用", "usage"), "", life.evidence[0] if life.evidence else "", str(one.last), what, one.times)
    for moment in life.moments:
        add(Words("经过", "event"), "", moment.batch_id, look.when(moment.at), look.say(moment.what), moment.detail)
    text = io.StringIO()
    csv.writer(text).writerows([map(pasted_cell, line) for line in lines])
    return "\ufeff" + text.getvalue()  # Excel takes UTF-8 for what it is only with this mark
