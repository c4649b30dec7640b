"""The rules of ``include/config/downline.yaml``, typed and checked."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from drawsguard.settings import config_file

POLICY_FILE = config_file("downline.yaml")


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Selection(_Section):
    """Which points may become candidates."""

    clusters: frozenset[str] = Field(min_length=1)
    modeltypes: frozenset[str] = Field(min_length=1)


class Tables(_Section):
    """Which tables of an environment are definition tables, by name."""

    suffix: str
    also: frozenset[str]
    left_alone: frozenset[str]

    @field_validator("suffix")
    @classmethod
    def _is_an_expression(cls, text: str) -> str:
        try:
            re.compile(text)
        except re.error as error:
            raise ValueError(f"{text!r} is not a regular expression ({error}).") from error
        return text


class Evidence(_Section):
    """When usage statistics are good enough to call a point unused."""

    unknown_metrics_percent: float = Field(ge=0, le=100)
    max_age_days: int = Field(gt=0)


class Caps(_Section):
    """The largest plan: in rows, and in percent of the live rows of any one table."""

    rows: int = Field(gt=0)
    percent: float = Field(gt=0, le=100)


class ApprovalRules(_Section):
    """Who has to agree, and how long a request waits for its answer."""

    second_above_rows: int = Field(ge=0)
    timeout_hours: float = Field(gt=0)


class Execution(_Section):
    """How the UPDATE is split."""

    chunk_rows: int = Field(gt=0)


class Observe(_Section):
    """How long a batch is watched, and when its owners are notified."""

    days: int = Field(gt=0)
    notice_days: tuple[int, ...]


class DownlinePolicy(_Section):
    """Everything a person may tune; see the comments in the file."""

    tables: Tables
    selection: Selection
    evidence: Evidence
    caps: Caps
    approval: ApprovalRules
    execution: Execution
    observe: Observe


def load_policy(path: Path = POLICY_FILE) -> DownlinePolicy:
    """Read and check the rules.

    :raises pydantic.ValidationError: naming each field that is missing, unknown or out of range.
    """
    return DownlinePolicy.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@lru_cache(maxsize=1)
def get_policy() -> DownlinePolicy:
    """Return the rules of this process."""
    return load_policy()
