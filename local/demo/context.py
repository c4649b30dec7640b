"""What the parts of the demo share: the stack, its stores, and a line of progress."""

from __future__ import annotations

import mailbox
import threading
import time
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.header import decode_header, make_header
from pathlib import Path
from typing import Any

import requests
from google.api_core.client_options import ClientOptions
from google.auth.credentials import AnonymousCredentials
from google.cloud import bigquery

from drawsguard import sql
from drawsguard.settings import Settings, get_settings
from drawsguard.warehouse.parameters import bind
from local.airflow_api import AirflowApi
from local.config import REPOSITORY, Config

#: The demo's own statements.
SQL = REPOSITORY / "local" / "sql"

#: Seconds between fresh draws while the demo runs (the real feed: 210): enough of them to measure a latency.
LIVE_INTERVAL_SECONDS = 20


@dataclass
class DemoContext:
    """The running stack of a demo. Times are aware; ``started`` is when the demo began (UTC).

    ``sync_turn`` is held by who triggers draw_sync: while a manual run is active, no scheduled one is created.
    """

    config: Config
    settings: Settings = field(default_factory=get_settings)
    started: datetime = field(default_factory=lambda: datetime.now(UTC))
    sync_turn: threading.Lock = field(default_factory=threading.Lock)
    _clock: float = field(default_factory=time.monotonic)

    def say(self, text: str) -> None:
        """Print a line of progress with the seconds since the start."""
        print(f"[{time.monotonic() - self._clock:5.0f} s] {text}", flush=True)

    def api(self, user: str) -> AirflowApi:
        """Return a client of Airflow for one of the named users."""
        return AirflowApi.of(self.config, user)

    # --- BigQuery ---------------------------------------------------------------------------------
    def bigquery(self) -> bigquery.Client:
        endpoint = self.config.url("bigquery", "BIGQUERY_PORT")
        return bigquery.Client(
            project=self.settings.project,
            credentials=AnonymousCredentials(),
            client_options=ClientOptions(api_endpoint=endpoint),
        )

    def query(self, path: str, root: Path = SQL, /, **parameters: Any) -> list[dict[str, Any]]:
        """Run a statement, the demo's own unless ``root`` says otherwise, and return its rows."""
        job = self.bigquery().query(
            sql.render_from(root, path), job_config=bigquery.QueryJobConfig(query_parameters=bind(**parameters))
        )
        return [dict(row.items()) for row in job.result()]

    # --- feed, mails ------------------------------------------------------------------------------
    def feed(self, path: str, **query: str) -> Any:
        """GET a page of the simulated feed, e.g. ``feed("/truth", **{"from": …, "to": …})``."""
        answer = requests.get(self.config.url("feed", "FEED_PORT") + path, params=query, timeout=30)
        answer.raise_for_status()
        return answer.json()

    def mails(self) -> list[dict[str, str]]:
        """Return every mail that the SMTP sink holds: sender, recipient and subject, decoded."""
        box = mailbox.Maildir(self.config.state / "smtp" / "maildir", create=True)
        return [
            {key: str(make_header(decode_header(mail.get(key, "")))) for key in ("From", "To", "Subject")}
            for mail in box
        ]
