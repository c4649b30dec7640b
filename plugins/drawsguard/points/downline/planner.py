"""The current plan of a batch in an environment: intranet from the decisions, extranet from the intranet's result."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import date, timedelta
from typing import Any, NamedTuple

from drawsguard.points import definitions
from drawsguard.points.definitions import Membership
from drawsguard.points.downline.backup import not_in_backup
from drawsguard.points.downline.execution import verify_downline
from drawsguard.points.downline.journal import Journal, PlannedRow
from drawsguard.points.downline.plan import (
    BACK_ON_INTRANET,
    Difference,
    Expected,
    Plan,
    PlanRefusedError,
    check_caps,
    explain_extranet,
    live_rows_of,
    plan_downline,
)
from drawsguard.points.downline.recheck import Sign, unknown_use
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.environments import Environment, environments
from drawsguard.points.policy import DownlinePolicy
from drawsguard.points.review.batch_repository import CELL_CLUSTER, CELL_MODIFIED, CELL_TABLE, StoredCandidate
from drawsguard.points.review.candidate import Decision
from drawsguard.points.review.confirmed import Confirmed
from drawsguard.points.review.evidence import EvidenceRefusedError, check_age
from drawsguard.points.telemetry.config import PointsConfig
from drawsguard.points.telemetry.evidence_days import evidence_days, listed
from drawsguard.points.telemetry.oper_type import parser

#: Opens a prepared connection to an environment, and closes it.
Connect = Callable[[Environment], AbstractContextManager[Any]]


@dataclass(frozen=True)
class Planned:
    """A plan, and the environment's tags and live points that it was made from."""

    plan: Plan
    membership: Membership


@dataclass(frozen=True)
class Planner:
    """Makes the plans of one batch.

    :param today: the business day, to detect stale evidence.
    :param tried: decisions of a workbook that is not kept, for a dry run; None: those that are kept.
    """

    repositories: Repositories
    connect: Connect
    rules: DownlinePolicy
    today: date
    tried: Mapping[int, Confirmed] | None = None

    def plan(self, batch_id: str, environment: Environment, *, admit: bool = True) -> Planned:
        """Return the batch's current plan in an environment; nothing is changed.

        :param admit: whether to ask if the batch may begin at all: age of its evidence and size. Not asked again of
            what was approved and begun: a refusal would leave it half done.
        :raises PlanRefusedError: when nothing is confirmed, or the extranet is asked for before the intranet is done.
        :raises CapExceededError: when the plan is too large.
        :raises EvidenceRefusedError: when the report's evidence is stale.
        :raises DefinitionError: when a table cannot be read safely, or one that nobody listed may serve the points.
        """
        batch = self.repositories.batches.get(batch_id)
        if admit:
            check_age(batch.window_end, self.today, self.rules.evidence)
        intranet = self._intranet(batch_id, batch.environment, admit=admit)
        if environment == "intranet":
            return intranet
        if waiting := self.waiting(intranet.plan):
            raise PlanRefusedError(
                f"Batch {batch_id}: {len(waiting)} rows are not downlined on the intranet yet, e.g. "
                f"{waiting[0].table} {waiting[0].row_id}. The extranet follows the intranet's result, never the other "
                "way round: finish the intranet first."
            )
        return self._extranet(batch_id, intranet, admit=admit)

    def waiting(self, plan: Plan) -> list[PlannedRow]:
        """Return the rows of a plan that are neither changed nor removed because of use."""
        rows = self.repositories.plans.rows_in_state(plan.batch_id, "removed")
        removed = {(kind, row_id) for environment, kind, _, row_id, *_ in rows if environment == plan.environment}
        return [row for row in plan.pending if (row.kind, row.row_id) not in removed]

    def refuse_second_run(self, batch_id: str) -> None:
        """Refuse a batch that has been carried out in every environment.

        :raises PlanRefusedError: when nothing is left to do.
        """
        intranet = self.plan(batch_id, "intranet")
        if intranet.plan.rows and not self.waiting(intranet.plan):
            others = [name for name in environments() if name != "intranet"]
            if not any(self.waiting(self.plan(batch_id, name).plan) for name in others):
                raise PlanRefusedError(
                    f"Batch {batch_id} has been carried out in {'both environments' if others else 'the intranet'}; a "
                    "second run would change nothing. For more points make a new report; to undo it use points_restore."
                )

    def _intranet(self, batch_id: str, reported_on: str, *, admit: bool) -> Planned:
        confirmed = {
            candidate.point_id: candidate.evidence
            for candidate in self.repositories.batches.candidates(batch_id)
            if self._decision(candidate) == Decision.DOWNLINE
        }
        if not confirmed:
            raise PlanRefusedError(
                f"Batch {batch_id} has no confirmed point: read its confirmed workbook first (task read_workbook)."
            )
        seen = {
            point: Expected(str(cells[CELL_TABLE]), str(cells[CELL_CLUSTER]), str(cells[CELL_MODIFIED]))
            for point, cells in confirmed.items()
        }
        expected = seen if reported_on == "intranet" else None
        return self._plan(batch_id, "intranet", frozenset(confirmed), expected, admit=admit)

    def _decision(self, candidate: StoredCandidate) -> str | None:
        if self.tried is None:
            return candidate.decision
        tried = self.tried.get(candidate.point_id)
        return str(tried.decision) if tried else None

    def _extranet(self, batch_id: str, intranet: Planned, *, admit: bool) -> Planned:
        with self.connect("intranet") as connection:
            journal = Journal(connection, batch_id, "intranet")
            back = {(d.kind, d.table, d.row_id): d for d in verify_downline(connection, journal).back}
            done = [row for row in journal.downlined() if (row.kind, row.table, row.row_id) not in back]
            connection.rollback()
        lost = {row_id for kind, _, row_id in back if kind == "point"}
        points = frozenset(row.row_id for row in done if row.kind == "point") - lost
        planned = self._plan(batch_id, "extranet", points, None, admit=admit)
        # The extranet follows what the intranet is now: what somebody put back there stays in service here, too.
        out = {row for row in planned.plan.pending if (row.kind, row.table, row.row_id) in back}
        planned = replace(planned, plan=replace(planned.plan, rows=tuple(r for r in planned.plan.rows if r not in out)))
        gone = {(row.kind, row.row_id) for row in planned.plan.done}
        with self.connect("extranet") as connection:
            statuses = definitions.status_of_ids(connection, "point", points - planned.plan.points())
            connection.rollback()
        tags = [(row.table, row.row_id) for row in done if row.kind == "tag"]
        explained = explain_extranet(points, tags, planned.plan, planned.membership, intranet.membership, statuses)
        explained += [
            Difference(kind, row_id, table, BACK_ON_INTRANET)
            for kind, table, row_id in sorted(back)
            if (kind, row_id) not in gone
        ]
        return Planned(replace(planned.plan, differences=tuple(explained)), planned.membership)

    def _plan(
        self,
        batch_id: str,
        environment: Environment,
        points: frozenset[int],
        expected: dict[int, Expected] | None,
        *,
        admit: bool,
    ) -> Planned:
        with self.connect(environment) as connection:
            journal = Journal(connection, batch_id, environment)
            plan, membership = plan_downline(connection, journal, batch_id, environment, points, expected)
            live = definitions.live_counts(connection)
            if plan.pending and journal.entries():  # once the batch was begun, its backups are kept as they are
                backups = self.repositories.backups.of_batch(batch_id, environment)
                plan = plan.without_unsaved(not_in_backup(connection, backups, plan.pending), membership)
            pending = frozenset(row.row_id for row in plan.pending if row.kind == "point")
            definitions.require_none_unlisted(connection, pending)
            connection.rollback()
        if admit:
            check_caps(plan, live_rows_of(membership, live, plan.done), self.rules.caps)
        return Planned(plan, membership)


class Recheck(NamedTuple):
    """What was looked at again just before the downline.

    :param first: first day after the report's window; :param last: last day whose evidence has to be there.
    :param used: use of planned points since ``first``, and use of the window that the report did not know.
    """

    first: date
    last: date
    used: list[Sign]


def used_since_report(
    repositories: Repositories,
    planned: Planned,
    members: Mapping[int, Iterable[int]],
    config: PointsConfig,
    expected: date,
) -> Recheck:
    """Return the use of planned points that the report did not know; errors do not count as use.

    That is all use after its window, and what arrived of the window later and is not what its class says.

    :param members: points of each tag, in either environment.
    :param expected: the last day whose evidence has to be there.
    :raises EvidenceRefusedError: naming the days since the report whose evidence is missing: nobody knows whether a
        point was used on them.
    """
    governance = repositories.connection
    batch = repositories.batches.get(planned.plan.batch_id)
    first = batch.window_end + timedelta(days=1)
    missing = evidence_days(governance, first, config.quality).missing(first, expected)
    if missing:
        raise EvidenceRefusedError(
            f"Whether the points of batch {planned.plan.batch_id} were used since the report cannot be known: the "
            f"usage evidence lacks {len(missing)} day(s) from {first} to {expected}: {listed(missing)}. Missing "
            "telemetry is not non-use. Have points_hive_aggregation and points_push run for them, then trigger a new "
            "run. Nothing was changed."
        )
    pending = frozenset(row.row_id for row in planned.plan.pending if row.kind == "point")
    classes = {c.point_id: c.point_class for c in repositories.batches.candidates(batch.batch_id)}
    used = unknown_use(
        governance,
        (batch.window_start, batch.window_end),
        {point: classes[point] for point in pending},
        members,
        parser(config.oper_type_pattern),
    )
    return Recheck(first, expected, used)
