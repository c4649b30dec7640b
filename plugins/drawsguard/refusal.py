"""Requests that are refused: what all of them have in common, and how the person who asked is reached."""

from __future__ import annotations

import re

#: An address, or a user name that may stand before the @: nothing that could name a second recipient, a header, or a
#: way through another server (``lin%evil.example`` before the @ goes to lin@evil.example, as Postfix reads it).
_LOCAL = r"(?=.{1,64}(?:@|$))[A-Za-z0-9_+-]+(?:\.[A-Za-z0-9_+-]+)*"
_ADDRESS = re.compile(rf"{_LOCAL}@[A-Za-z0-9-]{{1,63}}(\.[A-Za-z0-9-]{{1,63}})*")
_NAME = re.compile(_LOCAL)


class RefusedError(Exception):
    """A request that was refused before anything changed: the person who asked is notified; no alert."""


class HalfDoneError(Exception):
    """What was asked for has begun and could not be finished: an alert, whatever refused it."""


def refusal_of(error: object) -> RefusedError | None:
    """Return the refusal that ``error`` is, or was raised from; None when it is a failure.

    What lies behind a `HalfDoneError` is a failure: somebody must look at what was changed.
    """
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen and not isinstance(error, HalfDoneError):
        if isinstance(error, RefusedError):
            return error
        seen.add(id(error))
        error = error.__cause__
    return None


def address_of(user: str, pattern: str) -> str | None:
    """Return a user's mail address: the name if it is one, else the name put into ``pattern``.

    :param pattern: address with ``{owner}`` in the place of the name (setting ``points_owner_address``).
    :returns: None for a name that makes no single plain address: a mail must not reach anybody else.
    """
    if _ADDRESS.fullmatch(user):
        return user
    if not _NAME.fullmatch(user):
        return None
    address = pattern.format(owner=user)
    return address if _ADDRESS.fullmatch(address) else None
