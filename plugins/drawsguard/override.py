"""Overruling a guard: a named person does it, with a reason that somebody can read later; both are audited."""

from __future__ import annotations

from typing import Protocol

from drawsguard.refusal import RefusedError

#: Characters of a reason: "ok" and "test" explain nothing.
SHORTEST_REASON = 10


class Run(Protocol):
    """What a task sees of its run: who triggered it, and how often tasks of it were cleared."""

    triggering_user_name: str | None
    clear_number: int | None


class OverrideRefusedError(RefusedError, ValueError):
    """A guard was to be overruled by nobody, or for no reason; nothing was done."""


def check_reason(what: str, reason: str | None) -> str:
    """Return the reason without the blanks around it.

    :param what: what is overruled, as the beginning of a sentence: "A mute", "A rebuild of the whole window".
    :raises OverrideRefusedError: when it is shorter than `SHORTEST_REASON`.
    """
    text = (reason or "").strip()
    if len(text) < SHORTEST_REASON:
        raise OverrideRefusedError(
            f"{what} needs a reason of at least {SHORTEST_REASON} characters, which is kept in the audit: whoever "
            "reads it later has to know why. Trigger a new run with the reason."
        )
    return text


def check_override(what: str, reason: str | None, run: Run) -> str:
    """Return the reason for overruling a guard.

    A run that was cleared overrules nothing: it would act again on what is there now, in the name of the person who
    triggered it, and whoever may clear it may not be allowed to overrule.

    :raises OverrideRefusedError: when no person triggered the run, it was cleared, or the reason is too short.
    """
    text, person = check_reason(what, reason), run.triggering_user_name
    if not person:
        raise OverrideRefusedError(
            f"{what} needs a person who answers for it, and this run names nobody. Trigger the DAG in the UI or the "
            "REST API as yourself."
        )
    if run.clear_number:
        raise OverrideRefusedError(
            f"{what} holds for the run that {person} triggered, once, and tasks of this run were cleared since. "
            "Trigger a new run as yourself, with your reason."
        )
    return text
