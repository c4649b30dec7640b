"""Object stores of this machine, which speak Google's and Amazon's protocol: an address, and a connection for it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple
from urllib.request import Request, urlopen

BUCKET = "drawsguard-artifacts"
_COMMANDS = {
    "gs": (
        "gcp-storage-emulator",
        "start",
        "--host",
        "127.0.0.1",
        "--in-memory",
        "--quiet",
        "--default-bucket",
        BUCKET,
    ),
    "s3": ("moto_server", "-H", "127.0.0.1"),
}
_PORT = {"gs": "--port", "s3": "-p"}


class ObjectStore(NamedTuple):
    """A running object store with one empty bucket.

    :param address: for the setting ``artifacts_address``, with the connection in it.
    :param connection: variables that hold the connection.
    """

    scheme: str
    port: int
    address: str
    connection: dict[str, str]


def _connection(scheme: str, port: int) -> tuple[str, dict[str, object]]:
    url = f"http://127.0.0.1:{port}"
    # Airflow keeps a store for each connection as long as the process lives: each store needs a name of its own.
    name = f"objects_{scheme}_{port}"
    if scheme == "gs":
        extra = {"project": "wprojectl", "is_anonymous": True, "gcs.endpoint": url}
        return name, {"conn_type": "google_cloud_platform", "extra": extra}
    extra = {"endpoint_url": url, "region_name": "us-east-1"}
    return name, {"conn_type": "aws", "login": "any", "password": "any", "extra": extra}


@contextmanager
def object_store(scheme: str) -> Iterator[ObjectStore]:
    """Run an object store.

    :param scheme: ``gs`` or ``s3``.
    """
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    program, *arguments = _COMMANDS[scheme]
    command = [str(Path(sys.executable).with_name(program)), *arguments, _PORT[scheme], str(port)]
    # gs: the program knows its own bucket; s3: it is made through the protocol, like a person makes one.
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, cwd=os.environ["TMPDIR"])
    try:
        _wait(process, port)
        if scheme == "s3":
            urlopen(Request(f"http://127.0.0.1:{port}/{BUCKET}", method="PUT"), timeout=10).close()
        name, connection = _connection(scheme, port)
        variables = {f"AIRFLOW_CONN_{name.upper()}": json.dumps(connection)}
        yield ObjectStore(scheme, port, f"{scheme}://{name}@{BUCKET}/drawsguard", variables)
    finally:
        process.terminate()
        process.wait(timeout=20)


def _wait(process: subprocess.Popen[bytes], port: int) -> None:
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        if process.poll() is not None:
            raise RuntimeError(f"{process.args!r} ended with {process.returncode}")
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    raise RuntimeError(f"{process.args!r} does not listen on {port}")
