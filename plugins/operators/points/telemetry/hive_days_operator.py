"""Build a list of days in a partitioned Hive table: drop their partitions, then insert them again."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import Context

from drawsguard.points.telemetry.day_steps import DayStep


class HiveDaysOperator(SQLExecuteQueryOperator):
    """Run one step for a list of days.

    :param step: what is dropped and inserted.
    :param days: days to build, yyyy-MM-dd (mapped or templated).
    """

    template_fields: Sequence[str] = (*SQLExecuteQueryOperator.template_fields, "days")

    def __init__(self, *, step: DayStep, days: list[str], **kwargs: Any) -> None:
        super().__init__(sql=step.insert, do_xcom_push=False, **kwargs)
        self.step = step
        self.days = days

    def execute(self, context: Context) -> Any:
        self.sql = self.step.statements(self.days)
        self.parameters = self.step.parameters(self.days)
        self.log.info("%s: building %d day(s), %s to %s", self.step.name, len(self.days), self.days[0], self.days[-1])
        return super().execute(context)  # type: ignore[no-untyped-call]  # the provider has no types there
