"""What the containers of docker-compose.yaml do: ``python -m local.docker.entry COMMAND [ARGUMENT…]``.

``run NAME``      prepare a service and become it, exactly as the embedded stack does (local.run)
``exec COMMAND``  become a command with Airflow's environment, e.g. ``exec airflow celery worker``
``probe NAME``    the readiness probe of a service of the embedded stack
``secrets``       make every secret once, in the volume that the other containers only read
``mysql``         make the schemas and users on MySQL
``open``          apply the schema through its DAG, start the schedules, collect the history
``users``         print Airflow's address, users and passwords
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Mapping
from typing import Any

from local import run
from local.config import MYSQL_GRANTS, Config
from local.services import by_name, mysql_statements

#: Secrets that only containers need: the engines' own users.
ENGINE_SECRETS = ("mysql_root", "broker")


def container_environment(config: Config) -> dict[str, str]:
    """Return what the containers have beyond the embedded stack: Celery's broker and results."""
    return {
        "AIRFLOW__CELERY__RESULT_BACKEND": config.metadata_url("db+postgresql"),
        "AIRFLOW__CELERY__BROKER_URL": f"redis://:{config.secret('broker')}@{config.host('broker')}:6379/0",
    }


def check_broker(environ: Mapping[str, str], host: str) -> None:
    """Refuse the Celery executor without its profile: tasks would stay queued forever.

    :raises SystemExit: when the executor is Celery's and no broker has the name ``host``.
    """
    if "CeleryExecutor" not in environ.get("AIRFLOW__CORE__EXECUTOR", ""):
        return
    try:
        socket.getaddrinfo(host, None)
    except OSError as error:
        raise SystemExit(
            f"AIRFLOW_EXECUTOR is CeleryExecutor, but there is no broker named {host!r} ({error}): the celery profile "
            "is not up. Start it: AIRFLOW_EXECUTOR=CeleryExecutor docker-compose --profile celery up -d"
        ) from error


def make_secrets(config: Config) -> None:
    """Make all secrets; those that exist are kept."""
    for name in ENGINE_SECRETS:
        config.secret(name)
    config.airflow_environment()
    config.passwords()


def surplus_rights(cursor: Any) -> set[tuple[str, str, str]]:
    """Return grantee, schema and right of what the users of the run time may do beyond MYSQL_GRANTS."""
    wanted = {
        (f"'{server}'@'%'", schema, right)
        for server, grants in MYSQL_GRANTS.items()
        for schema, rights in grants.items()
        for right in rights.split(", ")
    }
    cursor.execute("SELECT grantee, table_schema, privilege_type FROM information_schema.schema_privileges")
    users = {grantee for grantee, _, _ in wanted}
    return {tuple(row) for row in cursor.fetchall() if row[0] in users} - wanted


def make_mysql_users(config: Config) -> None:
    """Make the schemas and users of the embedded stack on MySQL; repeatable, also while tasks use them.

    Each ``docker-compose up`` comes here, so rights are taken back only where a user has too many.
    """
    import MySQLdb

    connection = MySQLdb.connect(
        host=config.host("mysql"), port=config.port("MYSQL_PORT"), user="root", password=config.secret("mysql_root")
    )
    try:
        with connection.cursor() as cursor:
            for statement in mysql_statements(config, take_back=bool(surplus_rights(cursor))):
                cursor.execute(statement)
    finally:
        connection.close()


def open_airflow(config: Config) -> None:
    """Make a started Airflow operational, as ``make up`` does."""
    from local.airflow_api import AirflowApi
    from local.prepare import collect_history, prepare, start_schedules

    api = AirflowApi.of(config)
    prepare(api)
    start_schedules(api)
    collect_history(api, config)


def print_users(config: Config) -> None:
    """Print what a person needs to sign in."""
    print(f"{config.airflow_environment()['AIRFLOW__API__BASE_URL']}\n")
    for user, password in config.passwords().items():
        print(f"  {user:<16} {password}")


def main(command: str, arguments: list[str]) -> None:
    """Do ``command``; see the module's docstring."""
    config = Config.from_environment()
    steps = {"secrets": make_secrets, "mysql": make_mysql_users, "open": open_airflow, "users": print_users}
    if command in steps:
        steps[command](config)
    elif command == "probe":
        by_name(arguments[0]).probe(config)
    elif command in ("run", "exec"):
        check_broker(config.environ, config.host("broker"))
        os.environ.update(container_environment(config))
        if command == "run":
            run.main(arguments[0], prepare_only=False)
        else:
            environment = Config.from_environment().airflow_environment()
            os.execvpe(arguments[0], arguments, os.environ | environment)  # noqa: S606 - the caller's own command
    else:
        raise SystemExit(f"there is no command {command!r}\n{__doc__}")


if __name__ == "__main__":
    if len(sys.argv) < 2:
        raise SystemExit(__doc__)
    main(sys.argv[1], sys.argv[2:])
