"""Push one batch of usage evidence from Hive to MySQL: streamed, staged, published in one transaction."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator
from contextlib import closing
from typing import Any

from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.sdk import Context

from drawsguard.points.telemetry.config import points_config
from drawsguard.points.telemetry.day_plan import StatisticsWindow
from drawsguard.points.telemetry.evidence_repository import EvidenceRepository, TransferError
from drawsguard.points.telemetry.hive_source import Chunk, HiveSource
from drawsguard.points.telemetry.push_guard import EMPTY, Facts, batch_id_of, require_as_built, require_window
from drawsguard.refusal import RefusedError
from hooks.lineage import hive_table, lineage, mysql_table
from operators.points.telemetry.evidence_guard_operator import EvidenceGuardOperator


class HiveToMySqlStreamOperator(EvidenceGuardOperator):
    """Replace a batch in ``rsp_datagovern.ads_evt_ops_status_ago`` by what ``cma.ads_evt_ops_status`` holds now.

    Rows stream from HiveServer2 into a staging table of the session; memory grows with the size of a chunk, not of the
    batch. What arrived has to be what the build of this window has stamped, before and after the reading. The batch is
    replaced, with its ledger entry, in one transaction; a process that is killed leaves either the old batch or the new
    one. Running it again replaces the same batch and nothing else.
    """

    failure = RefusedError  # nothing was published
    local_infile = True

    def _stage(self) -> str:
        return "push"

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """Return what the push reads and writes, for OpenLineage."""
        source = hive_table(self.hiveserver2_conn_id, "cma.ads_evt_ops_status")
        return lineage([source], [mysql_table(self.mysql_conn_id, "rsp_datagovern.ads_evt_ops_status_ago")])

    def _guard(self, context: Context, source: HiveSource, store: EvidenceRepository, window: StatisticsWindow) -> Any:
        """Push what the guard let through in this run.

        :raises RefusedError: when the guard's log has no such decision; nothing was pushed.
        """
        batch_id = batch_id_of(self.flow, window)
        started = time.monotonic()
        if self._decision(context, store, batch_id) == "resume":
            self.log.info("Batch %s is in MySQL already: nothing to load.", batch_id)
            return {"batch_id": batch_id, "row_count": 0}
        require_window(self.flow, window, source.stamp())
        read: list[Facts] = []
        staged = store.stage(_lines(source.chunks(points_config().push.chunk_rows), read))
        expected = Facts(*(sum(values) for values in zip(*read, strict=True))) if read else EMPTY
        if staged != expected:
            raise TransferError(
                f"Batch {batch_id}: Hive holds {expected}, {staged} arrived in MySQL; nothing was published. "
                "Clear guard_before and what follows it; if it fails again, look for values with tabs, line ends "
                "or NULLs."
            )
        # A session may remember which files a table had: what another has built meanwhile is seen by a new one.
        with closing(HiveServer2Hook(self.hiveserver2_conn_id).get_conn()) as hive:
            require_as_built(self.flow, window, HiveSource(hive, self.flow).stamp(), staged)
        store.require_held(self.flow)
        store.publish(self.flow, window, staged, context["run_id"])
        seconds = time.monotonic() - started
        self.log.info("Published batch %s: %d rows in %.1f s.", batch_id, staged.row_count, seconds)
        return {"batch_id": batch_id, **staged._asdict()}

    @staticmethod
    def _decision(context: Context, store: EvidenceRepository, batch_id: str) -> str:
        """Return what the guard decided since the run started: the state of its task can be set by hand."""
        run = context["dag_run"]
        decision = store.decision(batch_id, run.run_id, run.start_date) if run.start_date else None
        if decision not in ("push", "resume"):
            raise RefusedError(
                f"The guard let no push of batch {batch_id} through since this run started (its newest decision: "
                f"{decision or 'none'}). Nothing was pushed. Clear guard_before and what follows it."
            )
        return decision


def _lines(chunks: Iterable[Chunk], read: list[Facts]) -> Iterator[bytes]:
    """Pass the lines of each chunk on, and record Hive's count of it."""
    for chunk in chunks:
        read.append(chunk.facts)
        yield chunk.lines
