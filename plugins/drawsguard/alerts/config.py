"""include/config/alerts.yaml: the life cycle of alerts."""

from __future__ import annotations

import fnmatch
from collections.abc import Iterable, Mapping
from datetime import timedelta
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from drawsguard.alerts.patience import Patience
from drawsguard.alerts.state import Policy
from drawsguard.monitoring.checks import Explained
from drawsguard.monitoring.observation import Priority
from drawsguard.settings import config_file

ALERTS_FILE = config_file("alerts.yaml")


class AlertConfig(BaseModel):
    """Times in minutes unless the name says otherwise."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    recovery_hold_minutes: float = Field(ge=0)
    aftermath_minutes: float = Field(ge=0)
    flap_window_minutes: float = Field(gt=0)
    flap_count: int = Field(gt=1)
    flap_hold_minutes: float = Field(ge=0)
    start_grace_minutes: float = Field(ge=0)
    catch_up_minutes: float = Field(ge=0)
    p1_delay_minutes: float = Field(ge=0, le=14, description="P1 is announced within 15 minutes.")
    retry_delay_minutes: float = Field(ge=0)
    retry_limit: int = Field(gt=0)
    slow_retry_minutes: float = Field(gt=0)
    reminder_minutes: float = Field(gt=0)
    reminder_limit: int = Field(ge=0)
    escalate_from: int = Field(ge=1, description="Number of the first reminder that the second recipient gets.")
    messages_a_round: int = Field(gt=0)
    longest_mute_hours: float = Field(gt=0)
    task_priority: Mapping[str, Priority]
    explanations: Mapping[str, tuple[str, ...]]
    teams: Mapping[str, str] = Field(description="Key pattern → team; the first that matches wins.")
    kinds: Mapping[str, Explained] = Field(description="First part of the key → what is said about such an alert.")

    @field_validator("kinds")
    @classmethod
    def _every_kind_is_explained(cls, kinds: Mapping[str, Explained]) -> Mapping[str, Explained]:
        if "other" not in kinds:
            raise ValueError("kinds needs 'other': an alert of no kind that is named would say nothing.")
        return kinds

    @field_validator("teams")
    @classmethod
    def _nobody_is_left_out(cls, teams: Mapping[str, str]) -> Mapping[str, str]:
        if "*" not in teams:
            raise ValueError("teams needs a last pattern '*': an alert that concerns no team would reach nobody.")
        return teams

    @property
    def policy(self) -> Policy:
        """The damping of the state machine."""
        return Policy(
            recovery_hold=timedelta(minutes=self.recovery_hold_minutes),
            aftermath=timedelta(minutes=self.aftermath_minutes),
            flap_window=timedelta(minutes=self.flap_window_minutes),
            flap_count=self.flap_count,
            flap_hold=timedelta(minutes=self.flap_hold_minutes),
            p1_delay=timedelta(minutes=self.p1_delay_minutes),
            retry_delay=timedelta(minutes=self.retry_delay_minutes),
            retry_limit=self.retry_limit,
            slow_retry_delay=timedelta(minutes=self.slow_retry_minutes),
            reminder_delay=timedelta(minutes=self.reminder_minutes),
            reminder_limit=self.reminder_limit,
            escalate_from=self.escalate_from,
        )

    @property
    def patience(self) -> Patience:
        """How long what has never been, or stood still with the monitor, is no incident yet."""
        return Patience(timedelta(minutes=self.start_grace_minutes), timedelta(minutes=self.catch_up_minutes))

    def explained_by(self, key: str) -> tuple[str, ...]:
        """Return the key patterns of alerts that would be the cause of ``key``."""
        return tuple(
            cause
            for pattern, causes in self.explanations.items()
            if fnmatch.fnmatchcase(key, pattern)
            for cause in causes
        )

    def team_of(self, key: str) -> str:
        """Return the team that an alert concerns."""
        return next(team for pattern, team in self.teams.items() if fnmatch.fnmatchcase(key, pattern))

    def kind_of(self, key: str) -> Explained:
        """Return what is said about an alert that is no check."""
        return self.kinds.get(key.split(":", 1)[0], self.kinds["other"])

    def priority_of_task(self, tags: Iterable[str]) -> Priority:
        """Return how urgent a failed task is, by its DAG's tier tag; P1 without one."""
        return next((self.task_priority[tag] for tag in tags if tag in self.task_priority), Priority.P1)


def load_alert_config(path: Path = ALERTS_FILE) -> AlertConfig:
    """Read and validate the configuration.

    :raises pydantic.ValidationError: when a value is missing, unknown or out of range.
    """
    return AlertConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))
