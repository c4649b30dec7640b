"""The rules of the usage evidence, read from ``include/config/points.yaml`` and checked."""

from __future__ import annotations

from datetime import time
from functools import lru_cache
from pathlib import Path
from typing import Literal

import yaml
from pydantic import BaseModel, ConfigDict, Field, field_validator

from drawsguard.points.telemetry.oper_type import parser
from drawsguard.settings import config_file, get_settings

#: Where a person edits these rules.
POINTS_CONFIG = config_file("points.yaml")
CLUSTERS_CONFIG = config_file("clusters.yaml")

#: window: the statistics window of 180 days. daily: the legacy flow, one day of JSON lines.
Flow = Literal["window", "daily"]


class _Rules(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TelemetryRules(_Rules):
    """How raw telemetry is read."""

    largest_count: int = Field(gt=0, lt=10**18)
    days_per_statement: int = Field(gt=0)
    minutes_kept_days: int = Field(ge=0)


class QualityRules(_Rules):
    """When a window's telemetry is good enough to conclude non-use from it. Shares are percent."""

    minutes_a_day: int = Field(gt=0)
    minutes_tolerance: int = Field(ge=0)
    missing_days_allowed: int = Field(ge=0)
    largest_expansion: float = Field(gt=0)
    largest_rejected_percent: float = Field(ge=0, le=100)
    arrives_by: time


class PushRules(_Rules):
    """What a push may change, and how much is transferred at once."""

    flows: tuple[Flow, ...] = Field(min_length=1)
    smallest_rows: int = Field(ge=1)
    largest_rows: int = Field(gt=0)
    largest_shrink_percent: float = Field(ge=0, le=100)
    largest_growth_percent: float = Field(ge=0)
    chunk_rows: int = Field(gt=0)
    keep_days: int = Field(gt=0)


class PointsConfig(_Rules):
    """Everything in ``points.yaml``."""

    oper_type_pattern: str
    telemetry: TelemetryRules
    quality: QualityRules
    push: PushRules

    @field_validator("oper_type_pattern")
    @classmethod
    def _readable(cls, value: str) -> str:
        parser(value)
        return value


@lru_cache(maxsize=4)
def points_config(path: Path = POINTS_CONFIG) -> PointsConfig:
    """Return the checked rules.

    :raises pydantic.ValidationError: naming each wrong entry.
    """
    return PointsConfig.model_validate(yaml.safe_load(path.read_text(encoding="utf-8")))


def scheduled_flows(config: PointsConfig) -> tuple[Flow, ...]:
    """Return the flows that the scheduled run pushes: the daily flow only where the legacy feed is."""
    absent = {"daily"} if "legacy_feed" in get_settings().absent else set[str]()
    return tuple(flow for flow in config.push.flows if flow not in absent)


@lru_cache(maxsize=4)
def cluster_instances(path: Path = CLUSTERS_CONFIG) -> dict[str, tuple[str, ...]]:
    """Return the Redis instances of each cluster."""
    clusters = yaml.safe_load(path.read_text(encoding="utf-8"))["clusters"]
    return {name: tuple(instances) for name, instances in clusters.items()}
