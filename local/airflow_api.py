"""A small client of Airflow's public REST API (v2), as a person or a script of the team would use it."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import requests

from local.config import Config


class ApiError(RuntimeError):
    """Airflow refused a call, or a run did not end well; ``status`` is the HTTP status where there is one."""

    def __init__(self, message: str, status: int | None = None) -> None:
        super().__init__(message)
        self.status = status


def wait_for(what: str, check: Callable[[], Any], timeout: float, pause: float = 1.0) -> Any:
    """Call ``check`` until it returns something true, and return that.

    :param timeout: seconds.
    :param pause: seconds between two calls; each call of the API costs Airflow some 20 ms of processor time.
    :raises ApiError: when the time is up; the message names ``what``.
    """
    deadline = time.monotonic() + timeout
    while True:
        result = check()
        if result:
            return result
        if time.monotonic() > deadline:
            raise ApiError(f"waited {timeout:.0f} s without success for {what}")
        time.sleep(pause)


class AirflowApi:
    """One signed-in user of a running Airflow."""

    def __init__(self, url: str, user: str, password: str) -> None:
        self.url = url.rstrip("/")
        self.user = user
        self._password = password
        self._session = requests.Session()

    @classmethod
    def of(cls, config: Config, user: str = "admin") -> AirflowApi:
        return cls(config.airflow_url, user, config.passwords()[user])

    def sign_in(self) -> AirflowApi:
        credentials = {"username": self.user, "password": self._password}
        answer = self._session.post(f"{self.url}/auth/token", json=credentials, timeout=30)
        if answer.status_code != 201:
            raise ApiError(f"{self.user} could not sign in: {answer.status_code} {answer.text}", answer.status_code)
        self._session.headers["Authorization"] = f"Bearer {answer.json()['access_token']}"
        return self

    def call(self, method: str, path: str, **arguments: Any) -> Any:
        """Call ``/api/v2<path>`` (or ``/ui/…``, what the UI itself reads) and return the parsed answer.

        :raises ApiError: with Airflow's own message when the answer is not 2xx.
        """
        if "Authorization" not in self._session.headers:
            self.sign_in()
        arguments.setdefault("timeout", 60)
        base = self.url if path.startswith("/ui/") else f"{self.url}/api/v2"
        answer = self._session.request(method, base + path, **arguments)
        if not answer.ok:
            raise ApiError(f"{method} {path} as {self.user}: {answer.status_code} {answer.text}", answer.status_code)
        return answer.json() if answer.content else None

    def get(self, address: str) -> requests.Response:
        """Return what a full address answers to this user, whatever it is."""
        if "Authorization" not in self._session.headers:
            self.sign_in()
        return self._session.get(address, timeout=60)

    def post(self, address: str, content: dict[str, Any]) -> requests.Response:
        """Send JSON to a full address as this user, and return the answer, whatever it is."""
        if "Authorization" not in self._session.headers:
            self.sign_in()
        return self._session.post(address, json=content, timeout=60)

    def send_form(self, address: str, fields: dict[str, str], headers: dict[str, str]) -> requests.Response:
        """Send an HTML form to a full address as this user, and return the answer, whatever it is."""
        if "Authorization" not in self._session.headers:
            self.sign_in()
        return self._session.post(address, data=fields, headers=headers, timeout=60)

    # --- DAGs -------------------------------------------------------------------------------------
    def dags(self) -> dict[str, dict[str, Any]]:
        return {dag["dag_id"]: dag for dag in self.call("GET", "/dags", params={"limit": 200})["dags"]}

    def import_errors(self) -> list[dict[str, Any]]:
        return list(self.call("GET", "/importErrors")["import_errors"])

    def pause(self, dag_id: str, paused: bool) -> None:
        self.call("PATCH", f"/dags/{dag_id}", json={"is_paused": paused})

    def trigger(self, dag_id: str, conf: dict[str, Any] | None = None, logical_date: str | None = None) -> str:
        """Trigger a run as the UI's form does, with its params in ``conf``; return the run id."""
        body = {"logical_date": logical_date, "conf": conf or {}}
        return str(self.call("POST", f"/dags/{dag_id}/dagRuns", json=body)["dag_run_id"])

    def open_with(self, dag_id: str, conf: dict[str, Any]) -> str:
        """Unpause a DAG with this run instead of the one that its schedule would create; return the run id."""
        run_id = self.trigger(dag_id, conf, self.dags()[dag_id]["next_dagrun_logical_date"])
        self.pause(dag_id, paused=False)
        return run_id

    def run(self, dag_id: str, run_id: str) -> dict[str, Any]:
        return dict(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}"))

    def runs(self, dag_id: str, **filters: Any) -> list[dict[str, Any]]:
        answer = self.call("GET", f"/dags/{dag_id}/dagRuns", params={"limit": 100, **filters})
        return list(answer["dag_runs"])

    def task_instances(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        return list(self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances")["task_instances"])

    def wait_run(self, dag_id: str, run_id: str, timeout: float = 180) -> dict[str, Any]:
        """Wait until a run has ended and return it.

        :raises ApiError: when it failed (the failed tasks are named) or did not end in ``timeout`` seconds.
        """

        def ended() -> dict[str, Any] | None:
            run = self.run(dag_id, run_id)
            return run if run["state"] in ("success", "failed") else None

        run = wait_for(f"run {run_id} of {dag_id}", ended, timeout)
        if run["state"] == "failed":
            failed = [
                t["task_id"] for t in self.task_instances(dag_id, run_id) if t["state"] in ("failed", "upstream_failed")
            ]
            raise ApiError(f"run {run_id} of {dag_id} failed in {', '.join(failed)}; see {self.link(dag_id, run_id)}")
        return dict(run)

    def trigger_and_wait(self, dag_id: str, conf: dict[str, Any] | None = None, timeout: float = 180) -> dict[str, Any]:
        return self.wait_run(dag_id, self.trigger(dag_id, conf), timeout)

    def link(self, dag_id: str, run_id: str) -> str:
        return f"{self.url}/dags/{dag_id}/runs/{run_id}"

    # --- backfills, pools, approvals --------------------------------------------------------------
    def backfill(self, dag_id: str, start: datetime, end: datetime, max_active_runs: int = 4) -> int:
        """Create a backfill over [start, end] and return its id."""
        body = {
            "dag_id": dag_id,
            "from_date": start.astimezone(UTC).isoformat(),
            "to_date": end.astimezone(UTC).isoformat(),
            "max_active_runs": max_active_runs,
            "reprocess_behavior": "completed",
        }
        return int(self.call("POST", "/backfills", json=body)["id"])

    def wait_backfill(self, backfill_id: int, timeout: float) -> None:
        def ended() -> Any:
            return self.call("GET", f"/backfills/{backfill_id}")["completed_at"]

        wait_for(f"backfill {backfill_id}", ended, timeout)

    def set_pool_slots(self, pool: str, slots: int) -> None:
        settings = {key: self.call("GET", f"/pools/{pool}")[key] for key in ("description", "include_deferred")}
        self.call("PATCH", f"/pools/{pool}", json=settings | {"pool": pool, "slots": slots})

    def awaiting_approval(self, dag_id: str, run_id: str) -> list[dict[str, Any]]:
        """Return the open human-in-the-loop requests of a run whose tasks wait for the answer.

        A task that was just asked about is still being deferred: an answer would have Airflow fail its try.
        """
        answer = self.call("GET", f"/dags/{dag_id}/dagRuns/{run_id}/hitlDetails", params={"response_received": False})
        return [one for one in answer["hitl_details"] if one["task_instance"]["state"] == "awaiting_input"]

    def respond(self, dag_id: str, run_id: str, task_id: str, option: str, **inputs: Any) -> dict[str, Any]:
        """Answer a human-in-the-loop request as this user."""
        path = f"/dags/{dag_id}/dagRuns/{run_id}/taskInstances/{task_id}/-1/hitlDetails"
        return dict(self.call("PATCH", path, json={"chosen_options": [option], "params_input": inputs}))
