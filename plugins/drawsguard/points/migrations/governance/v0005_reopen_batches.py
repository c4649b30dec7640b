"""Batches that an older version closed while the DBA had a ticket of theirs in hand are being cleaned again."""

from drawsguard.points.schema import run

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    run("governance/reopen_batches.sql")
