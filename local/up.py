"""``make up``: the whole stack with its schema, a year of draws, the golden case to review, and its schedules running.

The address is printed as soon as somebody can sign in; what is loaded behind it, once, says how far it is.

usage: python -m local.up [SERVICE…]   (named services only: just those are started)
"""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psutil
from google.api_core.exceptions import GoogleAPIError
from MySQLdb import Error as MySqlError
from requests import RequestException

from local.airflow_api import ApiError
from local.config import Config
from local.demo.context import DemoContext
from local.prepare import prepare, start_schedules
from local.stack import Stack, StackError
from local.tour.draws import load_year
from local.tour.points import begin_review

#: How long ago the simulated feed begins at its first start (days).
HISTORY_DAYS = "365"
#: Recomputes 100 days of draws in one statement: the emulator, which answers one request at a time, would keep the
#: monitor waiting beyond its patience. BigQuery does not notice.
TOO_LARGE = ("feature_review",)
#: What may go wrong while something is loaded: an engine or Airflow that refuses or does not answer.
_REFUSALS = (ApiError, GoogleAPIError, MySqlError, RequestException)


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


def once(marker: Path, act: Callable[[], object]) -> None:
    """Do what a stack needs at its first start only; the marker is left when it was done."""
    if not marker.exists():
        act()
        marker.touch()


def load_everything(context: DemoContext) -> None:
    """Load the year of draws and begin the review of the golden case, side by side; then start the schedules.

    The monitor begins with the schedules: it never sees a history that is half there.
    """
    done = context.config.directory("airflow")

    def draws() -> None:
        once(done / "history-collected", lambda: load_year(context))
        start_schedules(context.api("admin"), without=TOO_LARGE)

    def points() -> None:
        once(done / "review-begun", lambda: begin_review(context.api("admin"), context))

    with ThreadPoolExecutor() as pool:
        for future in [pool.submit(draws), pool.submit(points)]:
            future.result()


def welcome(config: Config) -> str:
    """Return where Airflow is and who may sign in."""
    users: list[str] = [f"  {user:<16} {password}" for user, password in config.passwords().items()]
    return "\n".join([f"\nAirflow is at {config.airflow_url}", "", f"  {'user':<16} password", *users, ""])


def main() -> int:
    os.environ.setdefault("FEED_HISTORY_DAYS", HISTORY_DAYS)
    config = Config.from_environment()
    stack = Stack(config)
    names = sys.argv[1:]
    try:
        check_auth_manager(stack)
        print(f"starting the embedded stack in {config.state}", flush=True)
        context = DemoContext(config)
        stack.up(names)
        if names:
            return 0
        context.say("applying the schema")
        prepare(context.api("admin"))
        print(welcome(config), flush=True)
        load_everything(context)
    except (StackError, *_REFUSALS) as error:
        print(error, file=sys.stderr)
        return 1
    context.say("everything is there: fresh draws arrive every few minutes, and a workbook waits on the page Files")
    print('`make status`, `make logs`, `make down`; the tour: README.md, "Try it in two minutes".')
    return 0


if __name__ == "__main__":
    sys.exit(main())
