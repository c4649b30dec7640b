"""The mail of a scheduled run whose data are not there by its deadline; sent by the triggerer."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async

from notifiers.template_mail import TemplateMail, run_url

logger = logging.getLogger(__name__)


class SlaMissMail(TemplateMail):
    """Says which interval is late, by how much, in what state its run is, and what to look at first.

    Airflow passes the run (as its REST API shows it) and the deadline, nothing else.

    :param to: recipients, comma separated.
    :param look_at: what to look at first, in the order of likelihood: (Chinese, English) pairs.
    :param priority: of the alert that the miss is as well; None when it is a mail only.
    :param delivered_by: the task whose success means that the data are there; empty: the whole run.
    """

    def __init__(
        self,
        *,
        to: str,
        look_at: list[list[str]],
        priority: str | None = None,
        delivered_by: str = "",
        **kwargs: Any,
    ) -> None:
        super().__init__(to=to, name="sla_miss", **kwargs)
        self.look_at = look_at
        self.priority = priority
        self.delivered_by = delivered_by

    async def async_notify(self, context: Any) -> None:
        """Send it, unless the data are there: a run may have delivered them and failed in something else."""
        if await self._delivered(context["dag_run"]):
            logger.info("%s: the run is late or failed, its data are there", context["dag_run"]["dag_run_id"])
            return
        await self.tell(context)

    async def tell(self, context: Any) -> None:
        """Send the mail."""
        await super().async_notify(context)

    async def _delivered(self, run: dict[str, Any]) -> bool:
        """Whether Airflow knows that the task has succeeded in the run; what cannot be asked is no yes."""
        if not self.delivered_by:
            return False
        # Imported where the triggerer needs it: a DAG file only names this class.
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        try:
            count = await sync_to_async(RuntimeTaskInstance.get_ti_count)(
                dag_id=run["dag_id"], task_ids=[self.delivered_by], run_ids=[run["dag_run_id"]], states=["success"]
            )
        except Exception:
            logger.exception("Airflow could not be asked for the state of %s", self.delivered_by)
            return False
        return count > 0

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
