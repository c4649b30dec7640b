"""The settings of cleanup that a person edits: ``include/config/cleanup.yaml``."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from drawsguard.points.cleanup.template import VariableClasses
from drawsguard.settings import config_file

CONFIG_FILE = config_file("cleanup.yaml")

Executor = Literal["own", "dba"]
Match = Literal["pattern", "exact", "none"]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class RouteRule(_Section):
    """One routing rule; the first rule whose conditions all hold decides. An absent condition always holds."""

    name: str = Field(pattern=r"^[a-z_]{1,32}$", description="Class of the ticket, and part of its id.")
    label: str = Field(min_length=1, max_length=20, description="Bilingual name, used for sheets.")
    executor: Executor
    clusters: frozenset[str] = Field(min_length=1)
    key: frozenset[Match] | None = None
    field: frozenset[Match] | None = None


class SweepSettings(_Section):
    """How much load a cleanup may put on a Redis server."""

    scan_count: int = Field(gt=0, le=10_000, description="COUNT of one SCAN call: how long it may hold the server.")
    batch_items: int = Field(gt=0, le=10_000, description="Keys or fields deleted between two ledger entries.")
    keys_per_second: float = Field(gt=0, description="Keys examined per second at most.")
    deletes_per_second: float = Field(gt=0, description="Keys or fields deleted per second at most.")
    max_latency_ms: float = Field(gt=0, description="Above this PING round trip the sweep slows down (ms).")
    recovery_seconds: float = Field(gt=0, description="How long to wait for a restart or failover (seconds).")
    max_passes: int = Field(ge=1, le=5, description="Deleting passes before keys that remain are reported.")


class SampleSettings(_Section):
    """Which deleted keys are kept as samples, so that a mistake can be understood and undone in part."""

    per_point: int = Field(ge=0, description="Keys kept per point and Redis server.")
    max_value_bytes: int = Field(gt=0, description="A larger value is kept by name and size only (bytes).")
    keep_days: int = Field(gt=0, description="Samples older than this are removed (days).")


class EstimateSettings(_Section):
    """How much is read to estimate a ticket."""

    scan_calls: int = Field(gt=0, description="SCAN calls per Redis server at most.")
    memory_samples: int = Field(gt=0, description="Keys per point whose MEMORY USAGE is asked.")


class CleanupConfig(_Section):
    """The whole file, checked when it is read."""

    variables: dict[str, str]
    minimum_literal_bytes: int = Field(gt=0, description="A key template that fixes fewer bytes is never cleaned.")
    routes: tuple[RouteRule, ...] = Field(min_length=1)
    sweep: SweepSettings
    samples: SampleSettings
    estimate: EstimateSettings
    living_hours: float = Field(gt=0, description="How long NOS's answer about a served point is reused (hours).")
    approval_hours: float = Field(gt=0, description="How long a ticket waits for an answer; none means no (hours).")
    idle_days: tuple[int, ...] = Field(min_length=1, description="Columns of the lifetime report (days).")

    @field_validator("variables")
    @classmethod
    def _readable_classes(cls, value: dict[str, str]) -> dict[str, str]:
        VariableClasses(value)
        return value

    @field_validator("routes")
    @classmethod
    def _distinct_names(cls, value: tuple[RouteRule, ...]) -> tuple[RouteRule, ...]:
        names = [rule.name for rule in value]
        if len(set(names)) != len(names):
            raise ValueError(f"route names repeat: {names}; ticket ids would not be unique")
        return value

    @property
    def variable_classes(self) -> VariableClasses:
        """The byte classes of the templates' variables."""
        return VariableClasses(self.variables)


def read_config(path: Path) -> CleanupConfig:
    """Read and check a configuration file.

    :raises pydantic.ValidationError: naming each field that is missing, unknown or out of range.
    """
    return CleanupConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


@lru_cache(maxsize=1)
def get_config() -> CleanupConfig:
    """Return the repository's configuration, read once per process."""
    return read_config(CONFIG_FILE)
