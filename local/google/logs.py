"""What Cloud Logging's sinks would export: attempts of Cloud Scheduler, requests of Cloud Run, admin activity.

The control plane passes each attempt and each change; rows go to the tables of the real export schema in the
BigQuery emulator.
"""

from __future__ import annotations

import json
import sys
import threading
import time
import uuid
from collections.abc import Callable
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from google.api_core.exceptions import GoogleAPIError
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery
from requests.exceptions import RequestException

from drawsguard.settings import get_settings

TICK_SECONDS = 15
LONGEST_QUEUE = 5000
GRPC_NAMES = {401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND", 503: "UNAVAILABLE"}


@dataclass(frozen=True)
class Attempt:
    """One call of a job."""

    job: str
    service: str
    url: str
    at: datetime
    http_status: int
    seconds: float
    insert_id: str = field(default_factory=lambda: uuid.uuid4().hex, compare=False)

    def entry(self) -> dict[str, Any]:
        """Return the request's entry as Cloud Logging lists it."""
        return {
            "insertId": self.insert_id,
            "timestamp": self.at.isoformat(),
            "resource": {"type": "cloud_run_revision", "labels": {"service_name": self.service}},
            "httpRequest": {"requestMethod": "POST", "requestUrl": self.url, "status": self.http_status},
        }


@dataclass(frozen=True)
class Change:
    """One call that changed an account, a grant, a service or a job."""

    api: str
    method: str
    resource: str
    principal: str
    at: datetime


class LogSink:
    """Writes attempts and changes in the background; keeps them while the tables do not exist yet."""

    def __init__(
        self, bigquery_url: str, attempt_due: Callable[[], list[Attempt]], changed: Callable[[], list[Change]] = list
    ) -> None:
        self._settings = get_settings()
        self._client = bigquery.Client(
            project=self._settings.project,
            credentials=AnonymousCredentials(),
            client_options={"api_endpoint": bigquery_url},
        )
        self._attempt_due = attempt_due
        self._changed = changed
        self._queue: list[Attempt] = []
        self._changes: list[Change] = []

    def start(self) -> None:
        """Begin to write, on a daemon thread."""
        threading.Thread(target=self._run, daemon=True).start()

    def _run(self) -> None:
        while True:
            self._queue = (self._queue + self._attempt_due())[-LONGEST_QUEUE:]
            self._changes = (self._changes + self._changed())[-LONGEST_QUEUE:]
            try:
                if self._changes:
                    self.write_changes(self._changes)
                    self._changes = []
                if self._queue:
                    self.write(self._queue)
                    self._queue = []
            except (GoogleAPIError, RequestException) as error:
                print(
                    f"log sink: {len(self._queue)} attempts and {len(self._changes)} changes wait: {error}",
                    file=sys.stderr,
                    flush=True,
                )
            time.sleep(TICK_SECONDS)

    def write(self, attempts: list[Attempt]) -> None:
        """Insert one row per attempt into each of the two tables."""
        rows = [
            {
                "job": one.job,
                "service": one.service,
                "url": one.url,
                "at": one.at.isoformat(),
                "http": one.http_status,
                "status": None if 200 <= one.http_status < 300 else GRPC_NAMES.get(one.http_status, "UNKNOWN"),
                "seconds": one.seconds,
                "id": one.insert_id,
            }
            for one in attempts
        ]
        for statement in (_EXECUTIONS, _REQUESTS):
            self._insert(statement, rows)

    def write_changes(self, changes: list[Change]) -> None:
        """Insert one row per change into the audit log."""
        self._insert(_ACTIVITY, [asdict(one) | {"at": one.at.isoformat(), "id": uuid.uuid4().hex} for one in changes])

    def _insert(self, statement: str, rows: list[dict[str, Any]]) -> None:
        config = bigquery.QueryJobConfig(
            query_parameters=[bigquery.ScalarQueryParameter("rows", "STRING", json.dumps(rows))]
        )
        query: Any = self._client.query(
            statement.format(dataset=f"{self._settings.project}.{self._settings.monitor_dataset}"),
            job_config=config,
            retry=bigquery.DEFAULT_RETRY.with_timeout(10),
            timeout=10,
        )
        query.result(timeout=30)


_SOURCE = "FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS entry"
_VALUE = "JSON_VALUE(entry, '$.{name}')"


def _value(name: str, kind: str = "STRING") -> str:
    text = _VALUE.replace("{name}", name)
    return text if kind == "STRING" else f"CAST({text} AS {kind})"


_EXECUTIONS = f"""
INSERT INTO `{{dataset}}.cloudscheduler_googleapis_com_executions` (
  logName, resource, jsonpayload_logging_attemptfinished, httpRequest, timestamp, receiveTimestamp, severity, insertId
)
SELECT
  'projects/local/logs/cloudscheduler.googleapis.com%2Fexecutions',
  STRUCT(
    'cloud_scheduler_job' AS type,
    STRUCT({_value("job")} AS job_id, 'local' AS project_id, 'local' AS location) AS labels
  ),
  STRUCT(
    {_value("job")} AS jobname, 'HTTP' AS targettype, {_value("url")} AS url, {_value("status")} AS status,
    IF({_value("status")} IS NULL, NULL, CONCAT('URL_ERROR-ERROR_', {_value("http")})) AS debuginfo
  ),
  STRUCT({_value("http", "INT64")} AS status),
  TIMESTAMP({_value("at")}), TIMESTAMP({_value("at")}),
  IF({_value("status")} IS NULL, 'INFO', 'ERROR'),
  {_value("id")}
{_SOURCE}
"""

_REQUESTS = f"""
INSERT INTO `{{dataset}}.run_googleapis_com_requests` (
  logName, resource, httpRequest, timestamp, receiveTimestamp, severity, insertId
)
SELECT
  'projects/local/logs/run.googleapis.com%2Frequests',
  STRUCT(
    'cloud_run_revision' AS type,
    STRUCT(
      {_value("service")} AS service_name, CONCAT({_value("service")}, '-00001') AS revision_name,
      {_value("service")} AS configuration_name, 'local' AS project_id, 'local' AS location
    ) AS labels
  ),
  STRUCT(
    'POST' AS requestMethod, {_value("url")} AS requestUrl, 0 AS requestSize, {_value("http", "INT64")} AS status,
    0 AS responseSize, 'Google-Cloud-Scheduler' AS userAgent, '127.0.0.1' AS remoteIp,
    {_value("seconds", "FLOAT64")} AS latency, 'HTTP/1.1' AS protocol
  ),
  TIMESTAMP({_value("at")}), TIMESTAMP({_value("at")}),
  IF({_value("status")} IS NULL, 'INFO', 'WARNING'),
  {_value("id")}
{_SOURCE}
"""

_ACTIVITY = f"""
INSERT INTO `{{dataset}}.cloudaudit_googleapis_com_activity` (
  logName, resource, protopayload_auditlog, timestamp, receiveTimestamp, severity, insertId
)
SELECT
  'projects/local/logs/cloudaudit.googleapis.com%2Factivity',
  STRUCT(
    'audited_resource' AS type,
    STRUCT('local' AS project_id, {_value("api")} AS service, {_value("method")} AS method) AS labels
  ),
  STRUCT(
    {_value("api")} AS serviceName, {_value("method")} AS methodName, {_value("resource")} AS resourceName,
    STRUCT({_value("principal")} AS principalEmail) AS authenticationInfo,
    STRUCT(0 AS code, '' AS message) AS status
  ),
  TIMESTAMP({_value("at")}), TIMESTAMP({_value("at")}),
  'NOTICE',
  {_value("id")}
{_SOURCE}
"""
