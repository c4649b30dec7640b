"""Evidence, lifecycle and cleanup as version one had them; adopts tables that are there already."""

from drawsguard.points.schema import run

revision = "0001"
down_revision = None


def upgrade() -> None:
    run("governance/evidence.sql")
    run("governance/lifecycle.sql")
    run("governance/cleanup.sql")
