"""The mail of a scheduled run whose data are not there by its deadline; sent by the triggerer."""

from __future__ import annotations

import logging
from datetime import UTC, datetime
from typing import Any

from asgiref.sync import sync_to_async

from drawsguard.deadlines import NOT_TOLD, SCHEDULED, delivers, earliest_delivery
from hooks.later_runs import runs_since
from notifiers.template_mail import TemplateMail, run_url

logger = logging.getLogger(__name__)


class NotToldError(RuntimeError):
    """Nobody could be told of a miss; its text holds `drawsguard.deadlines.NOT_TOLD`."""


class SlaMissMail(TemplateMail):
    """Says which interval is late, by how much, in what state its run is, and what to look at first.

    Airflow passes the run (as its REST API shows it) and the deadline, nothing else.

    :param to: recipients, comma separated.
    :param look_at: what to look at first, in the order of likelihood: (Chinese, English) pairs.
    :param priority: of the alert that the miss is as well; None when it is a mail only.
    :param delivered_by: the task whose success means that the data are there; empty: the whole run.
    :param daily: whether runs of an asset, or by hand, deliver a day's data as well.
    """

    def __init__(
        self,
        *,
        to: str,
        look_at: list[list[str]],
        priority: str | None = None,
        delivered_by: str = "",
        daily: bool = False,
        **kwargs: Any,
    ) -> None:
        super().__init__(to=to, name="sla_miss", **kwargs)
        self.look_at = look_at
        self.priority = priority
        self.delivered_by = delivered_by
        self.daily = daily

    async def async_notify(self, context: Any) -> str:  # type: ignore[override] # Airflow keeps what is returned
        """Tell people, unless the data are there; return the outcome, which `FreshIntervalEnd` reads.

        A run may have delivered them and failed in something else, or have ended since the deadline passed: the
        triggerer may have been down meanwhile. A later run may have delivered what it failed to.
        """
        run = context["dag_run"]
        if await self.delivered(run):
            logger.info("%s: the run is late or failed, the data are there", run["dag_run_id"])
            return NOT_TOLD
        await self.tell({**context, "dag_run": {**run, "state": await self._state(run) or run["state"]}})
        return "told"

    async def tell(self, context: Any) -> None:
        """Send the mail.

        :raises NotToldError: when it cannot be sent.
        """
        try:
            await self.mail(context)
        except Exception as error:
            raise NotToldError(f"{NOT_TOLD}: the mail could not be sent") from error

    async def mail(self, context: Any) -> None:
        """Send the mail."""
        await super().async_notify(context)

    async def delivered(self, run: dict[str, Any]) -> bool:
        """Whether Airflow knows that the data are there, of this run or of a later one; what cannot be asked is no yes.

        A person who sets the run to success says that there is nothing to wait for, whatever became of its tasks.
        """
        of = run["dag_id"], run["dag_run_id"]
        return await self._has_delivered(*of, await self._state(run)) or await self._delivered_beside(run)

    async def _delivered_beside(self, run: dict[str, Any]) -> bool:
        """Whether another run has delivered what this one was to, or what is due later."""
        dag_id, due = run["dag_id"], moment_of(run["data_interval_end"])
        try:
            runs = await sync_to_async(runs_since)(dag_id, earliest_delivery(due, daily=self.daily))
        except Exception:
            logger.exception("Airflow could not be asked for the runs of %s since %s", dag_id, due)
            return False
        for one in runs:
            run_id, run_type, after = one["dag_run_id"], one["run_type"], moment_of(one["run_after"])
            if (
                run_id != run["dag_run_id"]
                and delivers(run_id, run_type, after, one["conf"], due, daily=self.daily)
                and await self._has_delivered(dag_id, run_id, one["state"])
            ):
                return True
        return False

    async def _has_delivered(self, dag_id: str, run_id: str, state: str | None) -> bool:
        """Whether a run in this state has delivered; one that the schedule did not create may have had other work."""
        if state == "success" and run_id.startswith(SCHEDULED):
            return True
        if not self.delivered_by:
            return False
        # Imported where the triggerer needs it: a DAG file only names this class.
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        try:
            count = await sync_to_async(RuntimeTaskInstance.get_ti_count)(
                dag_id=dag_id, task_ids=[self.delivered_by], run_ids=[run_id], states=["success"]
            )
        except Exception:
            logger.exception("Airflow could not be asked for %s of %s %s", self.delivered_by, dag_id, run_id)
            return False
        return count > 0

    async def _state(self, run: dict[str, Any]) -> str | None:
        """Return the state of the run now; None when it cannot be asked."""
        from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance

        try:
            state = await sync_to_async(RuntimeTaskInstance.get_dagrun_state)(run["dag_id"], run["dag_run_id"])
        except Exception:
            logger.exception("Airflow could not be asked for the state of %s", run["dag_run_id"])
            return None
        return str(getattr(state, "value", state))

    def values(self, context: Any) -> dict[str, Any]:
        run = context["dag_run"]
        deadline = moment_of(context["deadline"]["deadline_time"])
        end = moment_of(run["data_interval_end"])
        return {
            "dag_id": run["dag_id"],
            "run_id": run["dag_run_id"],
            "state": run["state"],
            "interval_start": moment_of(run["data_interval_start"]),
            "interval_end": end,
            "deadline": deadline,
            "allowed_seconds": round((deadline - end).total_seconds()),
            "late_seconds": round((datetime.now(UTC) - deadline).total_seconds()),
            "look_at": self.look_at,
            "priority": self.priority,
            "url": run_url(run["dag_id"], run["dag_run_id"]),
        }


def moment_of(value: datetime | str) -> datetime:
    """Return an aware time from what Airflow passes: a datetime, or its ISO text."""
    moment = value if isinstance(value, datetime) else datetime.fromisoformat(value)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
