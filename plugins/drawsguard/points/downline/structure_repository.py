"""Storage structures of points, as NOS returned them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, NamedTuple

from drawsguard.points.clock import Clock, utc_now
from drawsguard.points.database import execute_many, fetch, utc


class Structure(NamedTuple):
    """The Redis key and field templates of a point; variable parts stand in braces."""

    point_id: int
    cluster: str
    data_type: str
    key_template: str
    field_template: str | None


@dataclass(frozen=True)
class StructureRepository:
    """Storage structures of points, as NOS returned them.

    :param connection: a prepared connection to the governance server.
    """

    connection: Any
    clock: Clock = utc_now

    def save(self, batch_id: str, structures: Iterable[Structure]) -> None:
        """Keep structures as they arrive; what was kept stays kept when a later one fails."""
        now = utc(self.clock())
        rows = [s._asdict() | {"batch_id": batch_id, "asked_at": now} for s in structures]
        execute_many(self.connection, "downline/structure/put_structure.sql", rows)
        self.connection.commit()

    def of_batch(self, batch_id: str) -> list[Structure]:
        """Return the structures of a batch by cluster and id."""
        rows = fetch(self.connection, "downline/structure/structures.sql", {"batch_id": batch_id})
        self.connection.rollback()
        return [Structure(int(point), *rest) for point, *rest in rows]
