"""Compare source and target, and repair what differs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator

from drawsguard.draws.repair.reconcile import reconcile
from hooks.draw_repairer import draw_repairer


class DrawReconcileOperator(BaseOperator):
    """Repair late and corrected draws that no sync window reached; the param ``hours`` is the span that is compared.

    Returns how many draws differed in value, how many further ones had a newer version, and the rows written.
    """

    template_fields: Sequence[str] = ()

    def execute(self, context: Any) -> dict[str, int]:
        done = reconcile(draw_repairer(self, context), context["params"]["hours"])
        self.log.info(
            "%s: %s draws differed %s; %s older ones had a newer version %s; %s rows written",
            done.compared, len(done.differing), done.differing[:20], len(done.corrected), done.corrected[:20],
            done.written,
        )  # fmt: skip
        return {"differing": len(done.differing), "corrected": len(done.corrected), "written": done.written}
