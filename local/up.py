"""``make up``: the whole stack with its schema, its history and its schedules running.

usage: python -m local.up [SERVICE…]   (named services only: just those are started)
"""

from __future__ import annotations

import sys

import psutil

from local.airflow_api import AirflowApi, ApiError
from local.config import Config
from local.prepare import collect_history, prepare, start_schedules
from local.stack import Stack, StackError


def check_auth_manager(stack: Stack) -> None:
    """Refuse to start services beside others that have another auth manager: they inherit the supervisor's.

    :raises StackError: when the running stack has another one than AUTH_MANAGER asks for.
    """
    pid = stack.supervisor_pid()
    running = pid and (psutil.Process(pid).environ().get("AUTH_MANAGER") or "simple")
    if running and running != stack.config.auth_manager:
        raise StackError(
            f"this stack runs with the auth manager {running}, and AUTH_MANAGER asks for {stack.config.auth_manager}: "
            "`make down` first, then start it again; its data are kept"
        )


def main() -> int:
    config = Config.from_environment()
    stack = Stack(config)
    names = sys.argv[1:]
    try:
        check_auth_manager(stack)
        print(f"starting the embedded stack in {config.state}", flush=True)
        stack.up(names)
        if names:
            return 0
        api = AirflowApi.of(config)
        print("applying the schema", flush=True)
        prepare(api)
        start_schedules(api)
        collect_history(api, config)
    except (StackError, ApiError) as error:
        print(error, file=sys.stderr)
        return 1
    print(f"\nAirflow is at {config.airflow_url}\n\n  {'user':<16} password")
    for user, password in config.passwords().items():
        print(f"  {user:<16} {password}")
    print("\nFresh draws arrive every few minutes. `make status`, `make logs`, `make down`.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
