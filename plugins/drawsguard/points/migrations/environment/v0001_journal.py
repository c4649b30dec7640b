"""The journal of changed rows."""

from drawsguard.points.schema import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    run("environment/journal.sql")
