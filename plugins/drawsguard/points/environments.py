"""The two environments, intranet and extranet: each has a MySQL server, or at least schemas, of its own."""

from __future__ import annotations

from typing import Literal

from drawsguard.refusal import RefusedError
from drawsguard.settings import get_settings

Environment = Literal["intranet", "extranet"]
ENVIRONMENTS: tuple[Environment, Environment] = ("intranet", "extranet")


class UnknownEnvironmentError(RefusedError, ValueError):
    """What was asked for is in no environment."""


def environments() -> tuple[Environment, ...]:
    """Return the environments that this company has: the extranet can be switched off."""
    absent = get_settings().absent
    return tuple(name for name in ENVIRONMENTS if name not in absent)


def as_environment(name: str) -> Environment:
    """Return ``name`` as an environment.

    :raises UnknownEnvironmentError: when it is none.
    """
    for environment in environments():
        if name == environment:
            return environment
    raise UnknownEnvironmentError(
        f"The environment is {name[:60]!r}, expected one of {', '.join(environments())}. Nothing was changed. "
        "Trigger a new run with one of them."
    )


def backup_schema(environment: Environment) -> str:
    """Return the schema of an environment's backups (setting ``<environment>_backup_schema``)."""
    return str(getattr(get_settings(), f"{environment}_backup_schema"))


def journal_schema(environment: Environment) -> str:
    """Return the schema of an environment's journal and version (setting ``<environment>_journal_schema``).

    It is not that of the backups: whoever makes backups may drop tables there.
    """
    return str(getattr(get_settings(), f"{environment}_journal_schema"))


def scratch_schema(environment: Environment) -> str:
    """Return the schema that backups are restored into once, to prove them."""
    return str(getattr(get_settings(), f"{environment}_scratch_schema"))
