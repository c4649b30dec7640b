"""A question and its final check, as an approval of the project asks them: the least that shows who may answer."""

from __future__ import annotations

from typing import Any

from airflow.providers.standard.operators.hitl import HITLOperator
from airflow.sdk import DAG, Context, Param

from drawsguard.access import access_for
from drawsguard.approvals.people import Approvers, Person


class ProbeOperator(HITLOperator):
    """Ask those whom ``approvers`` names (the setting's format); fail unless one of them answered."""

    def __init__(self, *, approvers: str, **kwargs: Any) -> None:
        super().__init__(subject="May it go on?", options=["Approve", "Reject"], **kwargs)
        self.approvers = approvers

    template_fields = ("approvers", "subject", "body")

    def _eligible(self, context: Context) -> Any:
        return Approvers.parse(self.approvers).for_request(context["dag_run"].triggering_user_name)

    def execute(self, context: Context) -> Any:
        self.assigned_users = self._eligible(context).assigned_users()
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        responder = self._eligible(context).check(Person.of_answer(event["responded_by_user"]))
        return {"name": responder.name, "id": responder.id, "options": event["chosen_options"]}


with DAG(
    dag_id="approval_probe",
    schedule=None,
    max_active_runs=8,
    params={"approvers": Param("", type="string")},
    access_control=access_for("points_downline"),
):
    ProbeOperator(task_id="ask", approvers="{{ params.approvers }}")
