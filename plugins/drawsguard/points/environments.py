"""The two environments, intranet and extranet: each has a MySQL server, or at least schemas, of its own."""

from __future__ import annotations

from typing import Literal

from drawsguard.settings import get_settings

Environment = Literal["intranet", "extranet"]
ENVIRONMENTS: tuple[Environment, Environment] = ("intranet", "extranet")


def as_environment(name: str) -> Environment:
    """Return ``name`` as an environment.

    :raises ValueError: when it is none.
    """
    for environment in ENVIRONMENTS:
        if name == environment:
            return environment
    raise ValueError(f"environment is {name!r}, expected one of {', '.join(ENVIRONMENTS)}.")


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
