"""An approval that the person who asked for it cannot give."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from airflow.providers.standard.operators.hitl import ApprovalOperator
from airflow.sdk.exceptions import AirflowException

from drawsguard.settings import get_settings

if TYPE_CHECKING:
    from airflow.sdk import Context


class FourEyesApprovalOperator(ApprovalOperator):
    """Wait for the approval of a named approver who did not trigger the run.

    The approvers are the setting ``approvers``; the requester is taken from the list before asking, and refused
    again on the answer. An answer by nobody (a time-out with a default) is no approval.
    """

    def execute(self, context: Context) -> Any:
        """Ask the approvers other than the requester.

        :raises AirflowException: when the requester is unknown, or nobody is left to approve.
        """
        requester = self._requester(context)
        names = [name.strip() for name in get_settings().approvers.split(",") if name.strip()]
        others = [name for name in names if name != requester]
        if not others:
            raise AirflowException(
                f"Nobody may approve what {requester} asked for: DRAWSGUARD_APPROVERS is {names}. "
                "Name at least one other user there and trigger the DAG again."
            )
        self.assigned_users = [{"id": name, "name": name} for name in others]
        return super().execute(context)

    def execute_complete(self, context: Context, event: dict[str, Any]) -> Any:
        """Return the answer, with who gave it.

        :raises AirflowException: when nobody answered, or the requester did.
        """
        requester = self._requester(context)
        responder = (event.get("responded_by_user") or {}).get("name")
        if "error" not in event:
            if not responder:
                raise AirflowException("No person answered in time, so nothing is approved. Trigger the DAG again.")
            if responder == requester:
                raise AirflowException(
                    f"{responder} asked for this and cannot approve it as well: a second person has to."
                )
        return super().execute_complete(context, event)

    @staticmethod
    def _requester(context: Context) -> str:
        requester = getattr(context["dag_run"], "triggering_user_name", None)
        if not requester:
            raise AirflowException(
                "This run has no triggering user, so its approver cannot be held apart from its requester. "
                "Trigger the DAG from the UI or the API as a named user."
            )
        return str(requester)
