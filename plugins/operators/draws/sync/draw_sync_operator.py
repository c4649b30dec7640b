"""Sync one interval, or one range, of draws into the business table."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, cast

from airflow.providers.google.cloud.links.bigquery import BigQueryJobDetailLink
from airflow.providers.google.cloud.operators.bigquery import BigQueryInsertJobOperator
from airflow.sdk.exceptions import AirflowException, AirflowFailException, AirflowTaskTimeout
from google.api_core.exceptions import BadRequest, NotFound
from google.cloud.bigquery import DEFAULT_RETRY, QueryJob

from drawsguard.draws.sync.target import MERGE_STATEMENT, SyncOutcome, SyncPlan, TargetRepository, describe
from drawsguard.draws.window import InvalidRangeError, SyncRequest, Window, news_request, sync_request
from drawsguard.settings import get_settings
from drawsguard.warehouse.adoption import explained
from drawsguard.warehouse.failures import StatementError
from drawsguard.warehouse.job_configuration import job_configuration
from drawsguard.warehouse.limits import ROUTINE, WATCH
from drawsguard.warehouse.references import named_tables
from drawsguard.warehouse.runner import StatementRunner
from hooks.asset_memory import DRAWS, memory_of
from hooks.lineage import bigquery_table, lineage
from hooks.telemetry import Reading, send
from hooks.warehouse_hook import warehouse_client


class DrawSyncOperator(BigQueryInsertJobOperator):
    """Run the MERGE of the run's window as one BigQuery job and record how it ended in ``sync_log``.

    The window comes from the run: its params ``from`` and ``to``, or its data interval with lookback and watermark.
    With the param ``dry_run`` nothing is written: the task logs and returns what would change. When a look at the
    newest days has shown that source and target are equal there is no job either: it costs nothing, and is a success.

    Returns the plan as JSON (see `SyncPlan.to_json`), for the verification, with the number of rows that were written
    (``affected``).

    :param slot: length of the schedule's intervals, for runs without a data interval.
    :param news: sync all until now, whatever the run says (see `news_request`). Only a failure is recorded: the run of
        the interval, which comes in any case, says that all is there.
    """

    template_fields: Sequence[str] = ()
    template_ext: Sequence[str] = ()
    # A MERGE has no destination table to link to.
    operator_extra_links = (BigQueryJobDetailLink(),)  # type: ignore[assignment]

    def __init__(self, *, slot: timedelta, news: bool = False, **kwargs: Any) -> None:
        # The MERGE is idempotent, so each attempt really runs: a stored job of an earlier attempt proves nothing.
        super().__init__(configuration={}, durable=False, force_rerun=True, deferrable=False, inlets=[DRAWS], **kwargs)
        self.slot = slot
        self.news = news

    def execute(self, context: Any) -> dict[str, Any]:
        settings = get_settings()
        self.gcp_conn_id, self.project_id, self.location = settings.google_conn_id, settings.project, settings.location
        self.result_timeout = ROUTINE.statement_seconds
        self.result_retry = DEFAULT_RETRY.with_timeout(ROUTINE.call_seconds)
        started_at = datetime.now(UTC)
        request = news_request(started_at, self.slot) if self.news else self._request(context)
        warehouse = TargetRepository(
            warehouse_client(), dag_id=self.dag_id, task_id=self.task_id, memory=memory_of(context)
        )
        lookback = timedelta(minutes=settings.sync_lookback_minutes)
        if request.dry_run:
            return self._report(warehouse, warehouse.plan(request, lookback, started_at))

        window = request.interval
        try:
            plan = warehouse.plan(request, lookback, started_at)
            window = plan.read
            self.log.info("Interval %s: syncing %s, reading %s", request.interval, plan.window, plan.read)
            if plan.equal:
                self.log.info("Nothing new: source and target are equal, nothing is written")
            else:
                self._merge(plan, context)
        except (Exception, AirflowTaskTimeout) as error:
            self._log_failure(warehouse, request, window, started_at, error, context)
            raise
        outcome = self._nothing(window, started_at) if plan.equal else self._success(window, started_at)
        if request.mode != "news":
            self._log(warehouse, request, outcome, context)
        if request.interval is not None:
            late = outcome.finished_at - request.interval.end
            send([Reading("drawsguard.sync.latency", late.total_seconds())])
        return plan.to_json() | {"affected": outcome.affected}

    def get_openlineage_facets_on_complete(self, task_instance: Any) -> Any:  # noqa: ARG002 - OpenLineage's signature
        """Return what the MERGE reads and writes, for OpenLineage; the provider's own would ask BigQuery again."""
        return lineage([bigquery_table("source", "draws")], [bigquery_table("target", "draws")])

    def _request(self, context: Any) -> SyncRequest:
        run = context["dag_run"]
        interval = None
        if run.data_interval_start is not None and run.data_interval_end is not None:
            interval = Window(run.data_interval_start, run.data_interval_end)
        try:
            return sync_request(context["params"], interval, run.run_after, self.slot)
        except InvalidRangeError as error:
            raise AirflowFailException(str(error)) from error

    def _report(self, warehouse: TargetRepository, plan: SyncPlan) -> dict[str, Any]:
        differences = warehouse.differences(plan, settled_before=plan.as_of)
        self.log.info("Dry run, nothing written. A sync of %s would repair: %s", plan.window, describe(differences))
        return plan.to_json() | {"would_repair": [[item.period, item.problem] for item in differences]}

    def _merge(self, plan: SyncPlan, context: Any) -> None:
        self.configuration = job_configuration(
            MERGE_STATEMENT, self.dag_id, self.task_id, **plan.bounds(), synced_at=datetime.now(UTC)
        )
        try:
            super().execute(context)
        except (BadRequest, NotFound, AirflowException) as error:
            # A table in its old layout must not look like a wrong statement. The provider's own error names no class.
            statements = StatementRunner(warehouse_client(), self.dag_id, self.task_id, WATCH)
            failure = StatementError(str(error), statement=MERGE_STATEMENT, job_id=self.job_id)
            awaited = explained(statements, failure, named_tables(self.configuration["query"]["query"]))
            if awaited is failure:
                raise
            raise awaited from error

    @staticmethod
    def _nothing(window: Window, started_at: datetime) -> SyncOutcome:
        return SyncOutcome("success", started_at, datetime.now(UTC), window, inserted=0, updated=0, affected=0)

    def _success(self, window: Window, started_at: datetime) -> SyncOutcome:
        job = cast(QueryJob, self._job)
        statistics = job.dml_stats
        affected = job.num_dml_affected_rows
        self.log.info("Job %s wrote %s rows", job.job_id, affected)
        return SyncOutcome(
            status="success",
            started_at=started_at,
            finished_at=datetime.now(UTC),
            window=window,
            job_id=job.job_id,
            inserted=statistics.inserted_row_count if statistics else None,
            updated=statistics.updated_row_count if statistics else None,
            affected=affected,
            bytes_billed=job.total_bytes_billed,
            slot_ms=job.slot_millis,
        )

    def _log_failure(
        self,
        warehouse: TargetRepository,
        request: SyncRequest,
        window: Window,
        started_at: datetime,
        error: BaseException,
        context: Any,
    ) -> None:
        outcome = SyncOutcome(
            status="failed",
            started_at=started_at,
            finished_at=datetime.now(UTC),
            window=window,
            job_id=self.job_id,
            error=f"{type(error).__name__}: {error}",
        )
        try:
            self._log(warehouse, request, outcome, context)
        except Exception as log_error:  # the cause of the failed attempt matters more, and is raised
            self.log.exception("sync_log could not be written")
            error.add_note(f"The failure could not be written to sync_log either: {log_error}")

    def _log(self, warehouse: TargetRepository, request: SyncRequest, outcome: SyncOutcome, context: Any) -> None:
        task_instance = context["ti"]
        warehouse.log(request, outcome, run_id=task_instance.run_id, try_number=task_instance.try_number)
