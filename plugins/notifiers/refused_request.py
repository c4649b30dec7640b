"""The mail to a person whose request was refused. It is no alert: nothing is broken, and nothing was changed."""

from __future__ import annotations

from typing import Any

from drawsguard.links import runbook_link
from drawsguard.refusal import RefusedError, address_of, refusal_of
from drawsguard.settings import get_settings
from notifiers.task_failure import failure_values, team_address
from notifiers.template_mail import TemplateMail


def refused_request(context: Any) -> tuple[str, RefusedError] | None:
    """Return who asked and the refusal, when the failed task of ``context`` refused what a person asked for.

    A run that the schedule, an asset or another DAG started has nobody who waits for the answer: its refusals are
    alerts, as all failures are.
    """
    run = context["dag_run"]
    person = getattr(run, "triggering_user_name", None)
    refusal = refusal_of(context.get("exception"))
    manual = str(getattr(run.run_type, "value", run.run_type)) == "manual"
    return (str(person), refusal) if manual and person and refusal else None


class RefusedRequestMail(TemplateMail):
    """Says what was refused, why, and what to do; to the person who asked, with a copy to the team.

    When the person's name makes no address, it goes to the team alone.
    """

    def __init__(self, person: str, refusal: RefusedError, *, team: str, **kwargs: Any) -> None:
        address = address_of(person, get_settings().points_owner_address)
        copy = [one.strip() for one in team.split(",")] if address else None
        super().__init__(to=address or team, name="refused_request", cc=copy, reply_to=team, **kwargs)
        self.person = person
        self.refusal = refusal

    def values(self, context: Any) -> dict[str, Any]:
        settings = get_settings()
        return failure_values(context) | {
            "person": self.person,
            "reason": str(self.refusal),
            "params": dict(context.get("params") or {}),
            "runbook": runbook_link("request-refused", settings),
        }


def refused_request_mail(context: Any) -> bool:
    """Mail the refusal of ``context``, if it is one; return whether it was.

    The task's log ends with the refusal as its last error, so that the run's page says it, too.
    """
    refused = refused_request(context)
    if refused is None:
        return False
    RefusedRequestMail(*refused, team=team_address(context["dag"].tags))(context)
    return True
