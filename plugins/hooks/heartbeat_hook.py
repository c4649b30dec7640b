"""The client of the external watcher: whoever misses our sign of life tells people, when we can no longer."""

from __future__ import annotations

from functools import cached_property
from uuid import UUID

import requests
from airflow.sdk import BaseHook

#: Seconds to connect, and to wait for an answer.
TIMEOUT = (5.0, 10.0)


class HeartbeatError(RuntimeError):
    """The watcher did not take the sign of life; the message says what it answered."""


class HeartbeatHook(BaseHook):
    """Pings one check of healthchecks.io, or of a server of one's own that speaks the same protocol.

    The connection is of the type HTTP: host is the address of pings (``https://hc-ping.com``, or
    ``https://checks.example.com/ping``), password the check's UUID. The address with the UUID is a secret: whoever has
    it can pretend that all is well.

    :param conn_id: the connection.
    """

    def __init__(self, conn_id: str) -> None:
        super().__init__()
        self.conn_id = conn_id

    @cached_property
    def _address(self) -> str:
        connection = self.get_connection(self.conn_id)
        host = (connection.host or "").rstrip("/")
        base = host if "://" in host else f"{connection.schema or 'https'}://{host}"
        try:
            check = UUID(connection.password or "")
        except ValueError as error:
            raise HeartbeatError(
                f"The password of the connection {self.conn_id} is not the UUID of a check. Copy the UUID from the "
                "watcher's page of the check, without the address before it."
            ) from error
        return f"{base}:{connection.port}/{check}" if connection.port else f"{base}/{check}"

    def get_conn(self) -> requests.Session:
        """Return a session."""
        return requests.Session()

    def start(self) -> None:
        """Say that a sign of life is on its way: it has the check's grace time to arrive.

        :raises HeartbeatError: when the watcher does not take it.
        """
        self._send("/start")

    def success(self) -> None:
        """Give the sign of life.

        :raises HeartbeatError: when the watcher does not take it.
        """
        self._send("")

    def note(self, text: str) -> None:
        """Have the watcher keep a text; it is no sign of life.

        :raises HeartbeatError: when the watcher does not take it.
        """
        self._send("/log", text)

    def _send(self, signal: str, text: str = "") -> None:
        # The errors of the library quote the address, which is a secret.
        try:
            with self.get_conn() as session:
                answer = session.post(self._address + signal, data=text.encode(), timeout=TIMEOUT)
        except requests.RequestException as error:
            raise HeartbeatError(
                f"The watcher of {self.conn_id} cannot be reached ({type(error).__name__}). "
                "Look at the host of the connection, and at what lies between."
            ) from None
        if answer.status_code != 200 or answer.text.strip() != "OK":
            raise HeartbeatError(
                f"The watcher of {self.conn_id} answered {answer.status_code} {answer.text.strip()[:100]!r}, not OK: "
                "does the check still exist, and is its UUID the connection's password?"
            )
