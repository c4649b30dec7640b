"""Build a list of days in a partitioned Hive table: remove their partitions, then insert them anew."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain
from typing import Any

from airflow.providers.common.sql.operators.sql import SQLExecuteQueryOperator
from airflow.sdk import Context

from drawsguard.points.hive_source import statements


class HiveDaysOperator(SQLExecuteQueryOperator):
    """Run one statement file for a list of days, after their old partitions were dropped.

    :param days: days to build, yyyy-MM-dd (mapped or templated).
    :param insert: file below include/sql/hive; its parameter ``days`` is the list.
    :param drops: table of cma → file below include/sql/hive that drops the days from it.
    :param values: further bound parameters of the insert.
    """

    template_fields: Sequence[str] = (*SQLExecuteQueryOperator.template_fields, "days")

    def __init__(
        self,
        *,
        days: list[str],
        insert: str,
        drops: Mapping[str, str],
        values: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        super().__init__(sql=statements(insert), **kwargs)
        self.days = days
        self.insert = insert
        self.drops = dict(drops)
        self.values = dict(values or {})

    def execute(self, context: Context) -> Any:
        named = {f"day_{index}": day for index, day in enumerate(self.days)}
        drops = [statements(file, table=table, days=list(named)) for table, file in self.drops.items()]
        self.sql = [*chain.from_iterable(drops), *statements(self.insert)]
        self.parameters = {**self.values, **named, "days": list(self.days)}
        self.log.info("Building %s for %d day(s): %s … %s", self.insert, len(self.days), self.days[0], self.days[-1])
        return super().execute(context)
