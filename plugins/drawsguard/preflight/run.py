"""Run the checks: each within its time, none able to stop another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from drawsguard.preflight.model import Check, Finding, Row, Status, World, failed

log = logging.getLogger(__name__)

#: Parts that are looked at side by side: what does not answer holds up the others of its part only.
SIDE_BY_SIDE = 6

#: An error is shown as one line of this length at most.
LONGEST = 400


def run(checks: Iterable[Check], world: World) -> list[Row]:
    """Run the checks and return their rows in the order of the checks.

    When the first check of a part fails, the others of the part fail without being run: each would wait for the same
    answer that does not come.
    """
    parts = [list(part) for _, part in groupby(checks, key=lambda check: check.part)]
    with ThreadPoolExecutor(SIDE_BY_SIDE, thread_name_prefix="preflight") as pool:
        return [row for rows in pool.map(lambda part: _run_part(part, world), parts) for row in rows]


def _run_part(checks: Sequence[Check], world: World) -> list[Row]:
    first, *others = checks
    rows = [Row(first, finding) for finding in look(first, world)]
    if any(row.finding.status is Status.FAIL for row in rows):
        return rows + [Row(check, failed(f"未检查 not looked at: {first.title}", first.advice)) for check in others]
    return rows + [Row(check, finding) for check in others for finding in look(check, world)]


def look(check: Check, world: World) -> list[Finding]:
    """Return what a check finds; an error, a time-out or no answer at all is a failure that names it."""
    found: list[Finding] = []
    errors: list[Exception] = []

    def work() -> None:
        try:
            found.extend(check.look(world))
        except Exception as error:
            log.debug("%s: %s", check.title, error, exc_info=True)
            errors.append(error)

    # A daemon: a driver that hangs in C must not keep the process from ending.
    thread = threading.Thread(target=work, daemon=True, name=f"preflight {check.name}")
    thread.start()
    thread.join(check.seconds)
    if thread.is_alive():
        return [*found, failed(f"{check.seconds:.0f} s 内无答复 no answer within {check.seconds:.0f} s", check.advice)]
    if errors:
        return [*found, failed(cause(errors[0]), check.advice)]
    return found or [failed("检查没有给出结果 the check gave no answer", check.advice)]


def cause(error: BaseException) -> str:
    """Return an error in one line, with its class."""
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:LONGEST]}" if text else type(error).__name__
