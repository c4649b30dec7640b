"""Schedules that several DAGs share."""

from __future__ import annotations

from datetime import time

from airflow.sdk import Asset, AssetOrTimeSchedule, CronDataIntervalTimetable

from drawsguard.settings import get_settings


def daily_or_after(at: str, asset: str) -> AssetOrTimeSchedule:
    """Return the schedule of a step that what it needs starts, and that runs every day at a time that people expect.

    :param at: business time of day, hh:mm.
    :param asset: name of what it needs.
    """
    moment = time.fromisoformat(at)
    daily = CronDataIntervalTimetable(f"{moment.minute} {moment.hour} * * *", timezone=get_settings().business_timezone)
    return AssetOrTimeSchedule(timetable=daily, assets=[Asset(asset)])
