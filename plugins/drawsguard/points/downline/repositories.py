"""The repositories of the points lifecycle (schemas points_lifecycle and governance_audit) over one connection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from drawsguard.points.audit_repository import AuditRepository
from drawsguard.points.clock import Clock, utc_now
from drawsguard.points.downline.backup_repository import BackupRepository
from drawsguard.points.downline.observation_repository import ObservationRepository
from drawsguard.points.downline.plan_repository import PlanRepository
from drawsguard.points.downline.structure_repository import StructureRepository
from drawsguard.points.review.batch_repository import BatchRepository


@dataclass(frozen=True)
class Repositories:
    """What is remembered of batches, from the report to the end of the observation.

    :param connection: a prepared connection to the governance server.
    :param clock: the time now (aware).
    """

    connection: Any
    clock: Clock = utc_now

    @property
    def batches(self) -> BatchRepository:
        """Batches, their candidates, and what people decided on them."""
        return BatchRepository(self.connection, self.clock)

    @property
    def plans(self) -> PlanRepository:
        """Plans, and the rows that they change."""
        return PlanRepository(self.connection, self.clock)

    @property
    def structures(self) -> StructureRepository:
        """Storage structures of points, as NOS returned them."""
        return StructureRepository(self.connection, self.clock)

    @property
    def backups(self) -> BackupRepository:
        """Where the proven backups are."""
        return BackupRepository(self.connection, self.clock)

    @property
    def observations(self) -> ObservationRepository:
        """The observation of downlined batches: its span, its halt, signs of use, notices to owners."""
        return ObservationRepository(self.connection, self.clock)

    @property
    def audit(self) -> AuditRepository:
        """The audit trail of batches: rows are only ever added."""
        return AuditRepository(self.connection, self.clock)
