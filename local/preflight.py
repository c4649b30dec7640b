"""``make preflight``: the checks of the DAG ``preflight``, from the command line; exits 1 when something is missing.

They look at what this shell's Airflow points to. Without an Airflow of its own (``AIRFLOW_HOME``, or a connection in
the environment) that is the embedded stack of ``make up``. ``ONLY="bigquery mysql"`` looks at these areas only,
``SEND=1`` sends a test message to each channel of alerts.
"""

from __future__ import annotations

import argparse
import logging
import os
import socket
import sys
from datetime import UTC, datetime

from local.config import REPOSITORY, Config

PAGE = REPOSITORY / ".local" / "reports" / "preflight.html"


def environment(config: Config, environ: dict[str, str]) -> tuple[dict[str, str], str]:
    """Return what is added to the environment, and whose connections are looked at then, in words."""
    if environ.get("AIRFLOW_HOME") or any(name.startswith("AIRFLOW_CONN_") for name in environ):
        # Connections that are kept in the metadata database are read as the API server reads them.
        return {"_AIRFLOW_PROCESS_CONTEXT": "server"}, f"AIRFLOW_HOME={environ.get('AIRFLOW_HOME', '~/airflow')}"
    return config.airflow_environment(), f"内置环境 the embedded stack in {config.state}"


def main() -> int:
    parser = argparse.ArgumentParser(prog="make preflight", description=__doc__)
    parser.add_argument("areas", nargs="*", help="look at these only")
    parser.add_argument("--send", action="store_true", help="send a test message to each channel of alerts")
    arguments = parser.parse_args()
    added, where = environment(Config.from_environment(), dict(os.environ))
    os.environ.update(added)
    sys.path.insert(0, str(REPOSITORY / "plugins"))
    logging.disable(logging.WARNING)  # the report says what there is to say

    from drawsguard.preflight.catalogue import checks
    from drawsguard.preflight.model import FolderProbe
    from drawsguard.preflight.report import Report
    from drawsguard.preflight.run import run
    from hooks.artifacts_probe import probe
    from hooks.preflight_connections import PreflightConnections

    try:
        chosen = checks(arguments.areas)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 2
    world = PreflightConnections(arguments.send, [FolderProbe(**probe(socket.gethostname()))])
    report = Report(run(chosen, world), datetime.now(UTC), where, world.settings)
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(report.html(), encoding="utf-8")
    print(f"{report.text()}\n{PAGE}")
    # Not sys.exit: a driver that hangs must not keep the command from ending.
    sys.stdout.flush()
    os._exit(0 if report.ready else 1)


if __name__ == "__main__":
    sys.exit(main())
