"""The journal moves, with all its rows, to a schema where the users of the run time cannot drop it."""

from drawsguard.points.schema import has_table, identifier, run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    if has_table(identifier("backup_schema"), "points_journal"):
        run("environment/move_journal.sql")
