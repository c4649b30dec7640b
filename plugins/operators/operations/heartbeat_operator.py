"""The sign of life for the external watcher."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import TYPE_CHECKING, Any, NoReturn

from airflow.providers.standard.triggers.temporal import TimeDeltaTrigger
from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowNotFoundException, AirflowSkipException

from hooks.heartbeat_hook import HeartbeatHook

if TYPE_CHECKING:
    from airflow.sdk import Context

#: How long the trigger waits; a task that resumes sooner can be marked failed (apache/airflow#68741).
HOP = timedelta(seconds=3)
#: The triggerer has this long to answer.
PATIENCE = timedelta(minutes=2)


class HeartbeatOperator(BaseOperator):
    """Go once through scheduler, worker, triggerer, scheduler and worker, and only then tell the watcher that all live.

    Skipped where no watcher is configured.

    :param heartbeat_conn_id: connection of the watcher.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, *, heartbeat_conn_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.heartbeat_conn_id = heartbeat_conn_id

    def execute(self, context: Context) -> NoReturn:  # noqa: ARG002 - the interface
        """Say that the way begins, and let the triggerer resume the task.

        :raises AirflowSkipException: when there is no connection.
        :raises hooks.heartbeat_hook.HeartbeatError: when the watcher does not take it.
        """
        hook = HeartbeatHook(self.heartbeat_conn_id)
        try:
            hook.start()
        except AirflowNotFoundException as error:
            raise AirflowSkipException(
                f"There is no connection {self.heartbeat_conn_id}: nobody outside watches this Airflow. Make it "
                "(README, Configuration), or pause this DAG."
            ) from error
        self.defer(trigger=TimeDeltaTrigger(HOP), method_name="arrived", timeout=PATIENCE)

    def arrived(self, context: Context, event: Any = None) -> None:  # noqa: ARG002 - the interface
        """Give the sign of life.

        :raises hooks.heartbeat_hook.HeartbeatError: when the watcher does not take it.
        """
        HeartbeatHook(self.heartbeat_conn_id).success()
