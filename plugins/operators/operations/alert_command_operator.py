"""A person's command on an alert: acknowledge, resolve, mute, unmute; recorded with who gave it."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.alerts.config import load_alert_config
from drawsguard.alerts.manager import AlertManager
from drawsguard.alerts.signals import end
from drawsguard.alerts.state import Board, Kind, acknowledge, mute, resolve, unmute
from drawsguard.monitoring.checks import load_checks
from drawsguard.override import check_override
from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings
from drawsguard.warehouse.engine_clock import EngineClock
from drawsguard.warehouse.monitoring_repository import MonitoringRepository, stable_id
from hooks.warehouse_hook import warehouse_client

if TYPE_CHECKING:
    from airflow.sdk import Context


#: The commands that are refused once they were carried out.
_ENDS = {"acknowledge": Kind.ACKNOWLEDGED, "resolve": Kind.RESOLVED}


class AlertCommandOperator(BaseOperator):
    """Append one event to the life cycle of an alert, and one entry to ``operation_audit``.

    Resolving also ends what a task or a deadline reported, or the next round would fire the alert again. What the
    monitor itself observes fires again as long as it is there.

    :param command: ``acknowledge``, ``resolve``, or ``mute`` (zero hours end a mute).
    :param key: the alert's key, from its message.
    :param note: reason or remark.
    :param hours: length of a mute.
    """

    template_fields: Sequence[str] = ("key", "note", "hours")

    def __init__(
        self,
        *,
        command: Literal["acknowledge", "resolve", "mute"],
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

        :raises OverrideRefusedError: when a mute, or resolving, has no reason that explains it.
        :raises AirflowFailException: when the command does not fit the alert's state, or nobody gave it.
        """
        run = context["dag_run"]
        actor = getattr(run, "triggering_user_name", None)
        if not actor:
            raise AirflowFailException("This run has no triggering user: trigger it from the UI or API as yourself.")
        if self.command == "mute" and float(self.hours) > 0:
            check_override("A mute", self.note, run)
        if self.command == "resolve":
            check_override("Resolving an alert", self.note, run)
        settings, config, client = get_settings(), load_alert_config(), warehouse_client()
        clock = EngineClock(client)
        repository = MonitoringRepository(client, dag_id=self.dag_id, task_id=self.task_id)
        manager = AlertManager(repository, config, load_checks(), settings, run_id=context["run_id"])
        board, longest = manager.board(clock.now()), timedelta(hours=config.longest_mute_hours)
        now = clock.now()  # after the first answer
        # The same in each attempt: the entry is looked for at its time.
        asked_at = getattr(run, "run_after", None) or now
        try:
            if self.command == "acknowledge":
                event = acknowledge(board, self.key, actor, self.note, now)
            elif self.command == "resolve":
                event = resolve(board, self.key, actor, self.note, now)
            elif float(self.hours) == 0:
                event = unmute(self.key, actor, now)
            else:
                length = timedelta(hours=float(self.hours))
                event = mute(board, self.key, actor, self.note, now, length, longest)
        except RefusedError as error:
            if self._is_done(board, actor, asked_at):
                return _ENDS[self.command].value  # an attempt that was killed afterwards
            raise AirflowFailException(str(error)) from error
        entry = {
            "entry_id": stable_id(context["run_id"], self.dag_id, self.key),
            "acted_at": asked_at,
            "operation": self.dag_id,
            "subject": self.key,
            "action": event.kind.value,
            "actor": actor,
            "digest": None,
            "detail": self.note,
            "run_id": context["run_id"],
        }
        # The event last: a retry after a failure in between finds the alert as it was, and repeats what was written.
        repository.append("alerts/append_audit", [entry])
        if self.command == "resolve":
            end(repository, self.key, f"{actor}: {self.note}", run_id=context["run_id"], now=now)
        manager.record([event])
        return event.kind.value

    def _is_done(self, board: Board, actor: str, asked_at: datetime) -> bool:
        """Whether an earlier attempt of this run has recorded the event, so that there is nothing left to do.

        :param asked_at: when the person gave the command (aware).
        """
        return self.command in _ENDS and any(
            (event.alert_key, event.kind, event.actor, event.detail)
            == (self.key, _ENDS[self.command], actor, self.note)
            and event.event_at >= asked_at
            for event in board.events
        )
