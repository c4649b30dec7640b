"""Run the checks: each within its time, none able to stop another."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import groupby

from drawsguard.preflight.model import Check, Finding, Row, Status, World, failed

log = logging.getLogger(__name__)

#: No answer from outside raises these: where they come from is told in the log.
_FAULTS_OF_CODE = (AttributeError, RuntimeError, TypeError)

#: An error is shown as one line of this length at most.
LONGEST = 400


def run(checks: Iterable[Check], world: World) -> list[Row]:
    """Run the checks and return their rows in the order of the checks.

    The first check of each part asks whether it answers, of all parts at once: what does not answer is waited for once.
    When it fails, the others of its part fail without being run. All others run one after the other: the libraries
    below them load much of themselves when first used, and not all of them are made for threads.
    """
    parts = [list(part) for _, part in groupby(checks, key=lambda check: check.part)]
    with ThreadPoolExecutor(max(len(parts), 1), thread_name_prefix="preflight") as pool:
        answers = list(pool.map(lambda part: look(part[0], world), parts))
    return [row for part, answer in zip(parts, answers, strict=True) for row in _rows(part, answer, world)]


def _rows(checks: Sequence[Check], answer: Sequence[Finding], world: World) -> list[Row]:
    first, *others = checks
    rows = [Row(first, finding) for finding in answer]
    if any(finding.status is Status.FAIL for finding in answer):
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
            level = logging.WARNING if type(error) in _FAULTS_OF_CODE else logging.DEBUG
            log.log(level, "%s, %s: %s", check.part, check.title, error, exc_info=True)
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
