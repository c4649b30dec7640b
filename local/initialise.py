"""Bring Airflow's metadata to the state its processes need: tables, pools and FAB's users; repeatable.

One process for the commands of Airflow that a person would type one after the other: each alone spends most of its time
on importing Airflow.
"""

from __future__ import annotations

from local import fab_users
from local.config import REPOSITORY, Config


def main(config: Config) -> None:
    from airflow.cli.cli_parser import get_parser

    parser = get_parser()
    pools = REPOSITORY / "include" / "config" / "pools.json"
    for command in (["db", "migrate"], ["pools", "import", str(pools)]):  # FAB's tables are among those migrated
        arguments = parser.parse_args(command)
        arguments.func(arguments)
    if config.auth_manager == "fab":
        fab_users.main(config)


if __name__ == "__main__":
    main(Config.from_environment())
