"""Names are compared by every character, not by the collation that the server happens to prefer."""

from drawsguard.points.schema import run

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    run("governance/exact_names.sql")
