"""Verify the downline of a batch in an environment."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.points.downline.execution import verify_downline
from drawsguard.points.downline.journal import Journal
from drawsguard.points.downline.observe import VERIFIED
from drawsguard.points.downline.plan import count
from drawsguard.points.environments import Environment, as_environment
from drawsguard.points.policy import get_policy
from hooks import points_databases


class PointsVerifyOperator(BaseOperator):
    """Compare an environment with the batch's journal and its kept plan, and start the observation. Returns the counts.

    What was changed is verified whatever would be planned now: old evidence, a cap or a table that nobody listed keeps
    a downline from its begin, and never rows at -80 from being watched. What somebody put back since is named, and the
    rest goes on.

    :param batch_id: the batch (templated).
    :param environment: intranet or extranet.
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, environment: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id
        self.environment = environment

    def execute(self, context: Context) -> dict[str, Any]:  # noqa: ARG002
        """Verify.

        :raises AirflowFailException: when rows are not as planned, e.g. because the task before was merely marked, or
            no plan was kept.
        """
        name = as_environment(self.environment)
        with points_databases.repositories() as repositories, points_databases.environment(name) as connection:
            journal = Journal(connection, self.batch_id, name)
            verification = verify_downline(connection, journal)
            repositories.plans.copy_journal(self.batch_id, name, journal.entries())
            if repositories.plans.digest(self.batch_id, name, "downline") is None:
                raise AirflowFailException(
                    f"Batch {self.batch_id} on the {name}: no plan was kept, so nobody knows whether everything was "
                    "changed. Trigger a new run, which plans and asks again, or run points_restore to undo."
                )
            waiting = [row for row in repositories.plans.rows_in_state(self.batch_id, "planned") if row[0] == name]
            if verification.wrong or waiting:
                raise AirflowFailException(
                    f"Batch {self.batch_id} on the {name}: {len(waiting)} planned rows were not changed, "
                    f"{len(verification.wrong)} changed rows are not as planned: {list(verification.wrong[:10])}. "
                    "Trigger a new run to continue, put what somebody edited back into service by hand, which leaves "
                    "it out, or run points_restore to undo."
                )
            if verification.back and not verification.changed and not self._is_down_elsewhere(name):
                raise AirflowFailException(
                    f"Batch {self.batch_id} on the {name}: not one changed row is as planned, all "
                    f"{len(verification.back)} ids are in service again, e.g. after an import of the definitions. Run "
                    "points_restore for the whole batch, and make a new report."
                )
            for difference in verification.back:
                self.log.warning("%s %s of %s %s", *difference)
            counts = count(verification.changed)
            # One transaction, which the start commits: since when rows are observed is read from the audit.
            repositories.audit.add(
                self.batch_id, VERIFIED, "airflow", name, counts=counts,
                put_back=[[back.kind, back.table, back.row_id] for back in verification.back],
            )  # fmt: skip
            repositories.observations.start(self.batch_id, get_policy().observe.days)
        return counts

    def _is_down_elsewhere(self, name: Environment) -> bool:
        down = points_databases.still_down(self.batch_id)
        return any(points for environment, points in down.items() if environment != name)
