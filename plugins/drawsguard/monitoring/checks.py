"""Checks as data: each one is an assertion about the rows of a view, judged here without Airflow or BigQuery."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from drawsguard.monitoring.observation import Observation, Priority
from drawsguard.parts import Part
from drawsguard.schema_constants import schema_constants
from drawsguard.settings import IDENTIFIER_PATTERN, REPOSITORY, config_file, get_settings

CHECKS_FILE = config_file("checks.yaml")
RUNBOOKS = REPOSITORY / "docs" / "runbooks"

_MUST: dict[str, Callable[[Any, Any], bool]] = {
    "eq": operator.eq,
    "ne": operator.ne,
    "le": operator.le,
    "ge": operator.ge,
    "in": lambda actual, allowed: actual in allowed,
}
_WORDS = {"eq": "=", "ne": "≠", "le": "≤", "ge": "≥", "in": "one of"}


class Bilingual(BaseModel):
    """A sentence in Chinese and in English."""

    model_config = ConfigDict(extra="forbid", frozen=True)
    zh: str
    en: str


class Explained(BaseModel):
    """What an alert says to whoever is called by it. The sentences have no full stop at their end."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    runbook: str
    dag: str
    message: Bilingual
    meaning: Bilingual
    healing: Bilingual
    first_step: Bilingual


class Check(Explained):
    """One assertion of include/config/checks.yaml."""

    name: str = Field(pattern=r"^[a-z][a-z_]*$")
    view: str = Field(pattern=IDENTIFIER_PATTERN)
    subject: str = Field(pattern=IDENTIFIER_PATTERN)
    where: Mapping[str, str | bool] = {}
    expected: tuple[str, ...] = ()
    column: str = Field(pattern=IDENTIFIER_PATTERN)
    must: Literal["eq", "ne", "le", "ge", "in"]
    value: bool | float | str | tuple[str, ...]
    priority: Priority
    explained_by: tuple[str, ...] = ()
    #: The service of each subject, where the subjects are those of services.yaml.
    service_of: Mapping[str, str] = {}
    part: Part | None = None

    @property
    def columns(self) -> tuple[str, ...]:
        """Columns of the view that the check reads."""
        return tuple(dict.fromkeys((self.subject, self.column, *self.where)))

    @property
    def condition(self) -> str:
        """What is expected, in words."""
        value = ", ".join(self.value) if isinstance(self.value, tuple) else self.value
        return f"{self.column} {_WORDS[self.must]} {value}"

    def key(self, subject: str) -> str:
        """Return the alert key of a subject."""
        return f"check:{self.name}:{subject}"

    def causes(self, subject: str) -> tuple[str, ...]:
        """Return the key patterns of alerts that would be the cause of this one: of the subject's own service."""
        return tuple(pattern.replace("{service}", self.service_of.get(subject, "*")) for pattern in self.explained_by)


class Checks(BaseModel):
    """The content of include/config/checks.yaml."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    checks: tuple[Check, ...]

    @field_validator("checks", mode="before")
    @classmethod
    def _services_are_those_of_the_configuration(cls, checks: Any) -> Any:
        """Put the services, or their jobs, of services.yaml where a check expects ``services`` or ``jobs``."""
        listed = schema_constants(get_settings())["services"]
        of = {
            "services": {one["name"]: one["name"] for one in listed},
            "jobs": {one["job"]: one["name"] for one in listed},
        }
        return [
            {**one, "expected": list(of[one["expected"]]), "service_of": of[one["expected"]]}
            if one.get("expected") in ("services", "jobs")
            else one
            for one in checks
        ]

    @model_validator(mode="after")
    def _names_are_unique(self) -> Checks:
        names = [check.name for check in self.checks]
        doubled = sorted({name for name in names if names.count(name) > 1})
        if doubled:
            raise ValueError(f"Two checks are called {doubled}: their alerts would be one. Rename one of each.")
        return self

    def views(self) -> dict[str, tuple[str, ...]]:
        """Return the columns to read of each view, so that a round reads each view once."""
        found: dict[str, dict[str, None]] = {}
        for check in self.checks:
            found.setdefault(check.view, {}).update(dict.fromkeys(check.columns))
        return {view: tuple(columns) for view, columns in found.items()}

    def of_key(self, key: str) -> Check | None:
        """Return the check that an alert key belongs to."""
        parts = key.split(":", 2)
        return next((one for one in self.checks if parts[0] == "check" and one.name == parts[1]), None)


def load_checks(path: Path = CHECKS_FILE) -> Checks:
    """Read and validate the checks.

    :raises pydantic.ValidationError: when a check is incomplete, duplicated, or has an unknown key.
    """
    return Checks.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def checks_in_force(path: Path = CHECKS_FILE) -> Checks:
    """Return the checks without those of parts that are switched off."""
    absent = get_settings().absent
    checks = load_checks(path)
    return checks.model_copy(update={"checks": tuple(check for check in checks.checks if check.part not in absent)})


@dataclass(frozen=True)
class Outcome:
    """The result of a check for one subject: ``pass``, ``fail``, or ``error`` when it could not be made."""

    check: Check
    subject: str
    status: Literal["pass", "fail", "error"]
    actual: str

    def observation(self) -> Observation:
        """Return what this means for the alert of the subject."""
        firing = {"pass": False, "fail": True, "error": None}[self.status]
        detail = (
            f"{self.check.message.zh} {self.check.message.en} — expected {self.check.condition}; actual {self.actual}"
        )
        return Observation(
            self.check.key(self.subject), firing, self.check.priority, detail, self.check.causes(self.subject)
        )


def judge(check: Check, rows: Sequence[Mapping[str, Any]]) -> list[Outcome]:
    """Return the outcome for every subject that has a row, and for every expected one that has none.

    A view without matching rows fails for every expected subject, and for the view itself when none is expected.
    """
    outcomes = [
        Outcome(
            check, str(row[check.subject]), _status(check, row[check.column]), f"{check.column} = {row[check.column]}"
        )
        for row in rows
        if fits(check, row)
    ]
    if check.expected:
        outcomes = [outcome for outcome in outcomes if outcome.subject in check.expected]
    return outcomes + [Outcome(check, subject, "fail", f"no row in {check.view}") for subject in lacking(check, rows)]


def lacking(check: Check, rows: Sequence[Mapping[str, Any]]) -> list[str]:
    """Return the expected subjects without a row; the view itself when none is expected and there is no row at all."""
    seen = {str(row[check.subject]) for row in rows if fits(check, row)}
    return [subject for subject in check.expected or ([] if seen else [check.view]) if subject not in seen]


def fits(check: Check, row: Mapping[str, Any]) -> bool:
    """Return whether a check judges a row."""
    return all(row[column] == value for column, value in check.where.items())


def _status(check: Check, actual: Any) -> Literal["pass", "fail"]:
    return "pass" if actual is not None and _MUST[check.must](actual, check.value) else "fail"


def unmade(check: Check, reason: str) -> list[Outcome]:
    """Return the outcomes of a check whose view could not be read: alerts stay as they are."""
    return [Outcome(check, subject, "error", reason) for subject in check.expected or (check.view,)]
