"""Ask NOS for the storage structure of every point of a batch, while the points are still live."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator, Context
from airflow.sdk.exceptions import AirflowException

from drawsguard.points.lifecycle import Structure
from drawsguard.points.structures import STRUCTURE_WORKBOOK, write_structures
from drawsguard.settings import get_settings
from hooks.nos_hook import NosError, NosHook
from operators import points_servers

#: Structures that are kept at a time: what a crash can lose.
_KEPT_AT_ONCE = 100


class NosStructureOperator(BaseOperator):
    """Keep the structure of every planned point, as data and as a workbook; returns how many there are.

    Only points without a kept structure are asked for, so a retry continues where NOS died.

    :param batch_id: the batch (templated).
    """

    template_fields: Sequence[str] = ("batch_id",)

    def __init__(self, *, batch_id: str, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.batch_id = batch_id

    def execute(self, context: Context) -> int:  # noqa: ARG002
        """Ask for the structures.

        :raises AirflowException: when some point has none, after keeping all others; without it, no downline.
        """
        with points_servers.lifecycle() as lifecycle:
            plan = points_servers.planner(lifecycle).plan(self.batch_id, "intranet").plan
            clusters = {row.row_id: row.cluster for row in plan.rows if row.kind == "point"}
            known = {structure.point_id for structure in lifecycle.structures(self.batch_id)}
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
                            lifecycle.save_structures(self.batch_id, found)
                            found = []
                finally:
                    lifecycle.save_structures(self.batch_id, found)
            structures = lifecycle.structures(self.batch_id)
        write_structures(points_servers.artifacts(self.batch_id) / STRUCTURE_WORKBOOK, structures)
        if failures:
            raise AirflowException(
                f"{len(failures)} of {len(missing)} points have no structure, the others are kept: {failures[:5]}. No "
                "structure, no downline: repair NOS and clear this task, or decide keep for them in the workbook."
            )
        return len(structures)
