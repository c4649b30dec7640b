"""What may only grow moves to a schema of its own: approvals, and the audit trail with all its rows.

Answers of version one are copied as rows that can never authorise anything; their table is kept as ``approval_v1``.
"""

from drawsguard.points.schema import has_table, run

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    run("governance/approval.sql")
    if has_table("points_lifecycle", "approval"):
        run("governance/copy_old_approvals.sql")
        run("governance/keep_old_approvals.sql")
    if has_table("points_lifecycle", "audit"):
        run("governance/move_audit.sql")
