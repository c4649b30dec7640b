"""What preflight looks at, opened with Airflow's connections; the checks themselves know no Airflow."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from smtplib import SMTP
from typing import Any

import apprise
import requests
from airflow.configuration import conf
from airflow.providers.apache.hive.hooks.hive import HiveServer2Hook
from airflow.providers.mysql.hooks.mysql import MySqlHook
from airflow.providers.smtp.hooks.smtp import SmtpHook
from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException
from google.cloud.bigquery import Client
from redis import Redis
from redis.cluster import RedisCluster

from drawsguard.alerts.message import Text
from drawsguard.monitoring.observation import Priority
from drawsguard.points.database import close, prepare
from drawsguard.settings import Settings, get_settings
from hooks import artifacts_probe
from hooks.alert_channel import deliver, name_of
from hooks.alert_delivery_hook import AlertDeliveryHook
from hooks.dead_letter_hook import DeadLetterQueue
from hooks.google_identity_hook import GoogleIdentityHook
from hooks.heartbeat_hook import HeartbeatHook
from hooks.nos_hook import NosHook
from hooks.redis_instance_hook import RedisInstanceHook
from hooks.warehouse_hook import warehouse_client

#: One answer of the REST API (seconds).
PATIENCE = 20


@dataclass(frozen=True)
class AlertChannel:
    """A channel of alerts, as preflight sees it."""

    channel: apprise.NotifyBase
    tags: frozenset[str]

    @property
    def name(self) -> str:
        """Address without its secrets."""
        return name_of(self.channel)

    def send(self, title: str, body: str) -> str:
        """Send a message; return why it was not accepted, or nothing."""
        return deliver(self.channel, Text(title, body, Priority.P2)).problem


@dataclass(frozen=True)
class PreflightConnections:
    """Everything that preflight looks at.

    :param sends_messages: whether test messages were asked for.
    :param folder_probes: what the workers saw of where artifacts are.
    """

    sends_messages: bool = False
    folder_probes: Sequence[Any] = ()
    settings: Settings = field(default_factory=get_settings)

    def sees_probe(self, token: str) -> bool:
        """Return whether the file that a worker wrote among the artifacts can be seen from here."""
        return artifacts_probe.is_seen(token)

    # --- Airflow ------------------------------------------------------------------------------------------------
    @property
    def executor(self) -> str:
        """Airflow's executor."""
        return str(conf.get("core", "executor"))

    @property
    def auth_manager(self) -> str:
        """Airflow's auth manager."""
        return str(conf.get("core", "auth_manager"))

    def simple_users(self) -> list[str]:
        """Return the users of the simple auth manager."""
        users = str(conf.get("core", "simple_auth_manager_users", fallback="") or "")
        return [user.split(":", 1)[0].strip() for user in users.split(",") if user.strip()]

    @cached_property
    def _api(self) -> tuple[str, requests.Session]:
        conn_id = self.settings.airflow_conn_id
        try:
            connection = BaseHook.get_connection(conn_id)
        except AirflowNotFoundException as error:
            raise LookupError(f"连接 connection {conn_id}") from error
        host = connection.host or ""
        base = host if "://" in host else f"{connection.schema or 'http'}://{host}"
        url = f"{base}:{connection.port}" if connection.port else base
        session = requests.Session()
        credentials = {"username": connection.login, "password": connection.password}
        answer = session.post(f"{url}/auth/token", json=credentials, timeout=PATIENCE)
        answer.raise_for_status()
        session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return url, session

    def airflow(self, path: str) -> Mapping[str, Any]:
        """GET a page of Airflow's REST API: below ``/api/v2``, or ``/auth/…`` of the auth manager.

        :raises LookupError: when there is no connection for it.
        :raises requests.HTTPError: when Airflow refuses.
        """
        url, session = self._api
        answer = session.get(url + (path if path.startswith("/auth/") else f"/api/v2{path}"), timeout=PATIENCE)
        answer.raise_for_status()
        found: Mapping[str, Any] = answer.json()
        return found

    # --- stores -------------------------------------------------------------------------------------------------
    @property
    def bigquery_emulator(self) -> str:
        """Address of the emulator that the client talks to; empty for BigQuery itself."""
        return os.environ.get("BIGQUERY_EMULATOR_HOST", "")

    def warehouse(self) -> Client:
        """Return the client of BigQuery."""
        return warehouse_client()

    @contextmanager
    def hive(self) -> Iterator[Any]:
        """Open a PyHive connection."""
        with closing(HiveServer2Hook(self.settings.hive_conn_id).get_conn()) as connection:
            yield connection

    @contextmanager
    def mysql(self, conn_id: str) -> Iterator[Any]:
        """Open a prepared connection of mysqlclient; what a check did in it is rolled back."""
        connection = prepare(MySqlHook(conn_id).get_conn())
        try:
            yield connection
        finally:
            close(connection)

    def redis(self, instance: str) -> Redis | RedisCluster:
        """Return the client of a Redis instance."""
        client: Redis | RedisCluster = RedisInstanceHook(instance).get_conn()  # type: ignore[no-untyped-call]  # redis-py has no type for it
        return client

    # --- services -----------------------------------------------------------------------------------------------
    @contextmanager
    def nos(self) -> Iterator[NosHook]:
        """Open the client of NOS; it asks once."""
        with NosHook(self.settings.nos_conn_id, attempts=1) as nos:
            yield nos

    @contextmanager
    def smtp(self) -> Iterator[SMTP]:
        """Open a signed-in SMTP session."""
        with SmtpHook(smtp_conn_id=self.settings.smtp_conn_id) as hook:
            client = hook._smtp_client  # the hook offers whole mails only
            assert isinstance(client, SMTP)  # noqa: S101 - for the type: get_conn has connected
            client.ehlo_or_helo_if_needed()
            yield client

    def channels(self) -> list[AlertChannel]:
        """Return the channels of alerts.

        :raises ValueError: when an address is not one that Apprise knows.
        """
        found = AlertDeliveryHook(self.settings.alert_conn_id).channels()
        return [AlertChannel(channel, frozenset(tags)) for channel, tags in found]

    def ping_watcher(self) -> None:
        """Send the external watcher a ping that is no sign of life.

        :raises LookupError: when there is no connection for it.
        :raises hooks.heartbeat_hook.HeartbeatError: when it does not take it.
        """
        conn_id = self.settings.heartbeat_conn_id
        try:
            HeartbeatHook(conn_id).note("preflight")
        except AirflowNotFoundException as error:
            raise LookupError(f"连接 connection {conn_id}") from error

    def google(self) -> GoogleIdentityHook:
        """Return the client of Google's control planes."""
        return GoogleIdentityHook(gcp_conn_id=self.settings.google_conn_id)

    def pubsub(self) -> DeadLetterQueue:
        """Return the topic and subscription of dead letters."""
        return DeadLetterQueue()
