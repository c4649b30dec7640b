"""A person's command on an alert: acknowledge, mute, unmute; recorded with who gave it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.desk import AlertDesk
from drawsguard.alerts.lifecycle import AlertCommandError, acknowledge, mute, unmute
from drawsguard.monitoring.checks import load_checks
from drawsguard.monitoring.store import MonitorStore, stable_id
from drawsguard.settings import get_settings
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context


class AlertCommandOperator(BaseOperator):
    """Append one event to the life of an alert, and one entry to ``operation_audit``.

    :param command: ``acknowledge``, or ``mute`` (a length of zero hours ends a mute).
    :param key: the alert's key, as its message says.
    :param note: reason or remark.
    :param hours: length of a mute.
    """

    template_fields: Sequence[str] = ("key", "note", "hours")

    def __init__(
        self,
        *,
        command: Literal["acknowledge", "mute"],
        key: str,
        note: str,
        hours: float | str = 0,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.command = command
        self.key = key
        self.note = note
        self.hours = hours

    def execute(self, context: Context) -> str:
        """Return the kind of the event that was recorded.

        :raises AirflowFailException: when the command does not fit the alert's state, or nobody gave it.
        """
        actor = getattr(context["dag_run"], "triggering_user_name", None)
        if not actor:
            raise AirflowFailException("This run has no triggering user: trigger it from the UI or API as yourself.")
        settings, config, now = get_settings(), load_alert_config(), datetime.now(UTC)
        client = warehouse_client()
        store = MonitorStore(client, dag_id=self.dag_id, task_id=self.task_id)
        desk = AlertDesk(store, config, load_checks(), settings, run_id=context["run_id"])
        board, longest = desk.board(now), timedelta(hours=config.longest_mute_hours)
        try:
            if self.command == "acknowledge":
                event = acknowledge(board, self.key, actor, self.note, now)
            elif float(self.hours) == 0:
                event = unmute(self.key, actor, now)
            else:
                length = timedelta(hours=float(self.hours))
                event = mute(board, self.key, actor, self.note, now, length, longest)
        except AlertCommandError as error:
            raise AirflowFailException(str(error)) from error
        desk.record([event])
        entry = {
            "entry_id": stable_id(context["run_id"], self.dag_id, self.key),
            "acted_at": now,
            "operation": self.dag_id,
            "subject": self.key,
            "action": event.kind.value,
            "actor": actor,
            "digest": None,
            "detail": self.note,
            "run_id": context["run_id"],
        }
        store.append("append_audit", [entry])
        return event.kind.value
