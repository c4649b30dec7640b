"""Drop minutes that no window will sum again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import closing
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.sdk import BaseOperator, Context

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import StatisticsWindow, chunks, first_kept_day
from drawsguard.points.telemetry.hive_source import fetch, statements


class HiveExpireOperator(BaseOperator):
    """Drop the days of base_evt_ts that are well before the window; returns them.

    Windows are summed from base_evt_day, which keeps every day; an earlier window can still be asked for. A day that
    has to be built again gets its minutes back from the raw history.

    :param window: the run's window as texts (templated).
    """

    template_fields: Sequence[str] = ("window",)

    def __init__(
        self,
        *,
        window: Mapping[str, str],
        hiveserver2_conn_id: str = HiveServer2Hook.default_conn_name,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.window = window
        self.hiveserver2_conn_id = hiveserver2_conn_id

    def execute(self, context: Context) -> list[str]:
        del context
        rules = points_config().telemetry
        with closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive:
            bound = {"first_kept": first_kept_day(StatisticsWindow.parse(self.window), rules.minutes_kept_days)}
            days = sorted(day for (day,) in fetch(hive, "telemetry/window/days_of_minutes_before.sql", bound))
            for some in chunks(days, rules.days_per_statement):
                values = {f"day_{number}": day for number, day in enumerate(some)}
                (drop,) = statements("telemetry/window/drop_days.sql", table="base_evt_ts", days=list(values))
                with closing(hive.cursor()) as cursor:
                    cursor.execute(drop, values)
        self.log.info("%d day(s) of minutes were dropped: %s", len(days), ", ".join(days) or "none")
        return days
