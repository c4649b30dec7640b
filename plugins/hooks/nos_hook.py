"""Ask the NOS service for storage structures over its line protocol.

One request per line, ``QUERYSTRUCT <point id>``; one answer a line, ``OK <point id> <JSON>`` or
``ERR <point id> <code> <message>``. The connection is reused; anything that is not such an answer to the question just
asked means that the stream is out of sync, so the connection is dropped and the question asked again on a new one.
"""

from __future__ import annotations

import socket
import time
from typing import Any

from airflow.sdk import BaseHook

from drawsguard.points.downline.structure_repository import Structure
from drawsguard.points.downline.structures import StructureError, parse_structure

_LONGEST_LINE = 64 * 1024


class NosError(RuntimeError):
    """NOS gave no structure for a point."""


class NosRefusedError(NosError):
    """NOS answered ERR: it understood the question and has no structure. Asking again does not help."""


class NosHook(BaseHook):
    """A client of the NOS service.

    :param nos_conn_id: Airflow connection with host and port.
    :param timeout: longest wait for a connection or an answer (seconds).
    :param attempts: how often one question is asked before giving up.
    :param pause: wait before the second attempt; doubles with each further one (seconds).
    """

    conn_name_attr = "nos_conn_id"
    default_conn_name = "nos_default"
    hook_name = "NOS"

    def __init__(
        self, nos_conn_id: str = default_conn_name, timeout: float = 5.0, attempts: int = 4, pause: float = 0.2
    ) -> None:
        super().__init__()
        self.nos_conn_id = nos_conn_id
        self.timeout = timeout
        self.attempts = attempts
        self.pause = pause
        self._socket: socket.socket | None = None
        self._rest = b""

    def get_conn(self) -> socket.socket:
        """Return the open connection, or make one."""
        if self._socket is None:
            connection = self.get_connection(self.nos_conn_id)
            if not connection.host or not connection.port:
                raise NosError(f"Connection {self.nos_conn_id} names no host and port.")
            self._socket = socket.create_connection((connection.host, connection.port), timeout=self.timeout)
            self._rest = b""
        return self._socket

    def close(self) -> None:
        """Close the connection; the next question opens a new one."""
        if self._socket is not None:
            self._socket.close()
        self._socket = None

    def __enter__(self) -> NosHook:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def structure(self, point_id: int) -> Structure:
        """Return the storage structure of a point.

        :raises NosRefusedError: when NOS answers that it has none.
        :raises NosError: when no usable answer came in any attempt.
        """
        failure: Exception | None = None
        for attempt in range(self.attempts):
            if attempt:
                time.sleep(self.pause * 2 ** (attempt - 1))
            try:
                return self._ask(point_id)
            except (OSError, StructureError, _OutOfStepError) as error:
                self.close()
                failure = error
        raise NosError(
            f"NOS ({self.nos_conn_id}) gave no structure for point {point_id} in {self.attempts} attempts; the last: "
            f"{type(failure).__name__}: {failure}. Check the service, then clear the task: it asks only for the rest."
        ) from failure

    def _ask(self, point_id: int) -> Structure:
        self.get_conn().sendall(b"QUERYSTRUCT %d\n" % point_id)
        line = self._read_line().decode("utf-8", "replace")
        verb, _, rest = line.partition(" ")
        number, _, payload = rest.partition(" ")
        if number != str(point_id) or verb not in ("OK", "ERR"):
            raise _OutOfStepError(f"asked for point {point_id}, got {line[:120]!r}")
        if verb == "ERR":
            raise NosRefusedError(f"NOS has no structure for point {point_id}: {payload[:200]}.")
        return parse_structure(point_id, payload)

    def _read_line(self) -> bytes:
        connection = self.get_conn()
        deadline = time.monotonic() + self.timeout
        buffer = self._rest
        while b"\n" not in buffer:
            left = deadline - time.monotonic()
            if left <= 0:
                raise TimeoutError(f"no complete answer within {self.timeout} s, got {buffer[:120]!r}")
            connection.settimeout(left)
            part = connection.recv(4096)
            if not part:
                raise ConnectionError(f"NOS closed the connection after {buffer[:120]!r}")
            buffer += part
            if len(buffer) > _LONGEST_LINE:
                raise _OutOfStepError(f"an answer longer than {_LONGEST_LINE} bytes")
        line, _, self._rest = buffer.partition(b"\n")
        return line.rstrip(b"\r")

    def test_connection(self) -> tuple[bool, str]:
        """Open a connection, for the UI's test button."""
        try:
            with self:
                self.get_conn()
        except (OSError, NosError) as error:
            return False, str(error)
        return True, "connected"


class _OutOfStepError(Exception):
    """The stream does not carry the answer to the last question."""


def get_hook(**arguments: Any) -> NosHook:
    """Return a hook on the connection that the settings name."""
    from drawsguard.settings import get_settings

    return NosHook(get_settings().nos_conn_id, **arguments)
