"""Prepare a service and become it: ``python -m local.run NAME [--prepare-only]``.

The process keeps its pid, so that the supervisor (or a container's init) watches the service itself.
"""

from __future__ import annotations

import json
import os
import shutil
import sys

import psutil

from local.config import REPOSITORY, Config
from local.services import by_name


def main(name: str, prepare_only: bool) -> None:
    config = Config.from_environment()
    service = by_name(name)
    environment = config.environ | service.environment(config)
    service.prepare(config)
    if prepare_only:
        return
    # Recorded with its start time, so that a later start can end what a crash left behind and nothing else.
    process = psutil.Process()
    record = config.directory("run") / f"{name}.json"
    record.write_text(json.dumps({"pid": process.pid, "started": process.create_time()}))
    command = service.command(config)
    # What a service leaves among its temporary files goes away at its next start, and stays in the stack's folder.
    temporary = config.state / "tmp" / name
    shutil.rmtree(temporary, ignore_errors=True)
    environment["TMPDIR"] = str(config.directory("tmp", name))
    # A second descriptor on standard input, because MariaDB closes the first and that pipe must keep a reader while the
    # service runs: supervisord may poll its own end by mistake, and an end without a reader ends every poll at once.
    os.set_inheritable(os.dup(0), True)
    os.chdir(REPOSITORY)
    os.execvpe(command[0], command, environment)  # noqa: S606 - commands are ours, see local/services.py


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1], "--prepare-only" in sys.argv[2:])
