"""A pushed batch keeps the days that it rests on: what a judgement may count on, and what it misses."""

from drawsguard.points.schema import run

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    run("governance/evidence_days.sql")
