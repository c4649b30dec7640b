"""Ask NOS for the storage structure of every point of a batch, while the points are still live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.downline.structures import STRUCTURE_WORKBOOK, write_structures
from drawsguard.settings import get_settings
from hooks import artifacts, points_databases
from hooks.nos_hook import NosError, NosHook

#: Structures that are stored at a time: what a crash can lose.
_KEPT_AT_ONCE = 100


class NosStructureOperator(BaseOperator):
    """Store the structure of every planned point, as data and as a workbook; returns how many there are.

    Only points without a stored structure are asked for, so a retry continues where NOS failed.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> int:  # noqa: ARG002
        """Ask for the structures.

        :raises AirflowException: when a point has none, after storing all others; without it there is no downline.
        """
        with points_databases.repositories() as repositories:
            plan = points_databases.planner(repositories).plan(self.batch_id, "intranet").plan
            clusters = {row.row_id: row.cluster for row in plan.rows if row.kind == "point"}
            known = {structure.point_id for structure in repositories.structures.of_batch(self.batch_id)}
            missing = sorted(clusters.keys() - known)
            failures: list[str] = []
            found: list[Structure] = []
            with NosHook(get_settings().nos_conn_id) as nos:
                try:
                    for point in missing:
                        try:
                            structure = nos.structure(point)
                        except NosError as error:
                            failures.append(str(error))
                            continue
                        if structure.cluster != clusters[point]:
                            failures.append(
                                f"NOS names cluster {structure.cluster} for point {point}, MySQL {clusters[point]}"
                            )
                            continue
                        found.append(structure)
                        if len(found) >= _KEPT_AT_ONCE:
                            repositories.structures.save(self.batch_id, found)
                            found = []
                finally:
                    repositories.structures.save(self.batch_id, found)
            structures = repositories.structures.of_batch(self.batch_id)
        with artifacts.drafts() as folder:
            write_structures(folder / STRUCTURE_WORKBOOK, structures)
            artifacts.store(folder / STRUCTURE_WORKBOOK, self.batch_id)
        if failures:
            raise AirflowException(
                f"{len(failures)} of {len(missing)} points have no structure, the others are stored: {failures[:5]}. "
                "No structure, no downline: repair NOS and clear this task, or decide to keep them in the workbook."
            )
        return len(structures)
