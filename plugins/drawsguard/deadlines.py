"""Deadlines of scheduled runs, read from ``include/config/deadlines.yaml`` and checked."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timedelta
from functools import lru_cache
from pathlib import Path
from typing import Any, Literal, Self
from zoneinfo import ZoneInfo

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from drawsguard.settings import Settings, config_file, get_settings

#: Where a person edits them.
DEADLINES_CONFIG = config_file("deadlines.yaml")


#: In what Airflow keeps as the outcome of a miss that nobody was told of (`notifiers.sla_miss` writes it): such a miss
#: opens no outage.
NOT_TOLD = "drawsguard_told_nobody"


class DeadlineError(ValueError):
    """The deadlines cannot be read as they are; the message says where and what to do."""


class _Entry(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Hint(_Entry):
    """What to look at first, in both languages."""

    zh: str = Field(min_length=1)
    en: str = Field(min_length=1)


class Deadline(_Entry):
    """When a scheduled run is late, who is notified, and how urgent it is.

    ``delivered_by`` is the task whose success means that the data are there, however the run ends; empty: the run.
    ``daily``: runs that an asset or a person starts deliver the data of a day as well. An alert (``priority``) needs a
    task that delivers, which ends it.
    """

    name: str = Field(min_length=1)
    minutes: int | None = Field(None, gt=0)
    setting: str | None = None
    priority: Literal["P0", "P1", "P2"] | None = None
    owner: Literal["draws", "points"]
    delivered_by: str = ""
    daily: bool = False
    look_at: tuple[Hint, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _one_interval(self) -> Self:
        if (self.minutes is None) == (self.setting is None):
            raise ValueError("give minutes or setting, one of them")
        if self.setting is not None and not (
            self.setting.endswith("_seconds") and self.setting in Settings.model_fields
        ):
            raise ValueError(f"{self.setting!r} is no setting in seconds (drawsguard/settings.py)")
        if not self.delivered_by and (self.priority is not None or self.daily):
            raise ValueError("name in delivered_by the task that makes the data")
        return self

    def interval(self, settings: Settings) -> timedelta:
        """Return how long after the end of its data interval a run is late."""
        if self.setting is not None:
            return timedelta(seconds=getattr(settings, self.setting))
        return timedelta(minutes=self.minutes or 0)

    def address(self, settings: Settings) -> str:
        """Return who is notified: addresses, comma separated."""
        return str(getattr(settings, f"{self.owner}_email"))

    def hints(self) -> list[list[str]]:
        """Return what to look at as (Chinese, English) pairs."""
        return [[hint.zh, hint.en] for hint in self.look_at]


#: How the ids of runs begin that the schedule created. A backfill that plays one again changes its type alone.
SCHEDULED = "scheduled__"


def earliest_delivery(due: datetime, *, daily: bool) -> datetime:
    """Return from when on a run could make what is due at a time: a day's data may come before their slot.

    :param due: the end of an interval (aware).
    :param daily: of the deadline, see `Deadline`.
    """
    if not daily:
        return due
    here = due.astimezone(ZoneInfo(get_settings().business_timezone))
    return here.replace(hour=0, minute=0, second=0, microsecond=0)


def delivers(
    run_id: str,
    run_type: str,
    run_after: datetime,
    conf: Mapping[str, Any] | None,
    due: datetime | None,
    *,
    daily: bool,
) -> bool:
    """Return whether a run, if it has made its data, has made what was due at a time, or what is due later.

    A run that an asset or a person starts makes it where a day's data are due: of its business day, or of the day that
    its param ``run_date`` names. A backfill is for older data.

    :param run_type: Airflow's type of the run, e.g. ``manual``.
    :param run_after: when the run was to start (aware); of a scheduled one that is the end of its interval.
    :param conf: what it was triggered with.
    :param due: the end of an interval (aware); None when that is not known, so that any run may be the one.
    :param daily: of the deadline, see `Deadline`.
    """
    if run_id.startswith(SCHEDULED):
        return due is None or run_after >= due
    if not (daily and run_type in ("asset_triggered", "manual")):
        return False
    if due is None:
        return True
    zone = ZoneInfo(get_settings().business_timezone)
    day = str((conf or {}).get("run_date") or run_after.astimezone(zone).date())
    return day >= str(due.astimezone(zone).date())


class _Deadlines(_Entry):
    deadlines: dict[str, Deadline]


@lru_cache(maxsize=4)
def load_deadlines(path: Path = DEADLINES_CONFIG) -> dict[str, Deadline]:
    """Return the deadline of each DAG that has one.

    :raises DeadlineError: naming the file and each wrong entry.
    """
    try:
        return _Deadlines.model_validate(yaml.safe_load(path.read_text(encoding="utf-8"))).deadlines
    except (ValidationError, yaml.YAMLError) as error:
        raise DeadlineError(f"{path} is not valid; correct it: {error}") from error


def deadline_of(dag_id: str, path: Path = DEADLINES_CONFIG) -> Deadline:
    """Return the deadline of a DAG.

    :raises DeadlineError: when the file has none, or is not valid.
    """
    deadlines = load_deadlines(path)
    if dag_id not in deadlines:
        raise DeadlineError(
            f"{path} has no deadline for {dag_id}, only for {', '.join(sorted(deadlines))}. Add it there."
        )
    return deadlines[dag_id]
