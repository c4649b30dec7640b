"""The mail of a scheduled run that has not ended by its deadline; sent by the triggerer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from notifiers.template_mail import TemplateMail, run_url


class SlaMissMail(TemplateMail):
    """Says which interval is late, by how much, in what state its run is, and what to look at first.

    Airflow passes the run (as its REST API shows it) and the deadline, nothing else.

    :param to: recipients, comma separated.
    :param look_at: what to look at first, in the order of likelihood: (Chinese, English) pairs.
    :param priority: of the alert that the miss is as well; None when it is a mail only.
    """

    def __init__(self, *, to: str, look_at: list[list[str]], priority: str | None = None, **kwargs: Any) -> None:
        super().__init__(to=to, name="sla_miss", **kwargs)
        self.look_at = look_at
        self.priority = priority

    def values(self, context: Any) -> dict[str, Any]:
        run = context["dag_run"]
        deadline = _moment(context["deadline"]["deadline_time"])
        end = _moment(run["data_interval_end"])
        return {
            "dag_id": run["dag_id"],
            "run_id": run["dag_run_id"],
            "state": run["state"],
            "interval_start": _moment(run["data_interval_start"]),
            "interval_end": end,
            "deadline": deadline,
            "allowed_seconds": round((deadline - end).total_seconds()),
            "late_seconds": round((datetime.now(UTC) - deadline).total_seconds()),
            "look_at": self.look_at,
            "priority": self.priority,
            "url": run_url(run["dag_id"], run["dag_run_id"]),
        }


def _moment(value: datetime | str) -> datetime:
    """Return an aware time from what Airflow passes: a datetime, or its ISO text."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
