"""Approvals and access under FAB's auth manager, on a running Airflow: over REST and in a browser."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest
import requests
from playwright.sync_api import Page, sync_playwright

from drawsguard.settings import REPOSITORY, get_settings
from local.airflow_api import AirflowApi, ApiError, wait_for
from local.config import USERS, Config
from local.demo.downline import PATIENCE

pytestmark = [pytest.mark.e2e, pytest.mark.timeout(900)]

#: The approval under test: a question of the DAG below, which asks whom its run names.
DAGS_FOLDER = Path(__file__).with_name("dags")
DAG_ID, TASK_ID = "approval_probe", "ask"
#: A DAG that pages start. It stays paused: nothing runs.
DOWNLINE = "points_downline"

BROWSERS = ("chromium", "chromium-browser", "google-chrome")
#: Nothing but the page itself: no sandbox inside a container, no updates.
BROWSER_OPTIONS = ["--no-sandbox", "--disable-background-networking", "--disable-component-update"]


@pytest.fixture(scope="module")
def config(make_stack: Any, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Config]:
    """A small Airflow with FAB's auth manager."""
    state = tmp_path_factory.mktemp("fab")
    folder = tmp_path_factory.mktemp("dags")
    for source in (DAGS_FOLDER / f"{DAG_ID}.py", REPOSITORY / "dags" / "points" / f"{DOWNLINE}.py"):
        shutil.copy(source, folder)
    environment = {"AUTH_MANAGER": "fab", "AIRFLOW__CORE__DAGS_FOLDER": str(folder)}
    embedded = make_stack(state, environment=environment)
    try:
        embedded.require("airflow-scheduler", "airflow-dag-processor")
        admin = AirflowApi.of(embedded.config)
        wait_for("the DAGs to be parsed", lambda: {DAG_ID, DOWNLINE} <= set(admin.dags()), timeout=300)
        admin.pause(DAG_ID, paused=False)
        yield embedded.config
    finally:
        embedded.down()
        shutil.rmtree(state, ignore_errors=True)


@pytest.fixture(scope="module")
def users(config: Config) -> dict[str, AirflowApi]:
    return {name: AirflowApi.of(config, name) for name in USERS}


#: Question → whom it asks; {approvers} is the embedded stack's setting.
QUESTIONS = {
    "by id": "{approvers}",
    "by role": "role:points_approver",
    "no ids": "approver,second_approver",
    "another's id": "approver=4,second_approver=3",
    "kept apart": "{approvers}",
    "browser": "{approvers}",
}


@pytest.fixture(scope="module")
def runs(config: Config, users: dict[str, AirflowApi]) -> dict[str, str]:
    """Have ``requester`` ask every question, and return the runs once all of them wait for their answers."""
    asked = {
        name: users["requester"].trigger(DAG_ID, {"approvers": approvers.format(approvers=config.approvers())})
        for name, approvers in QUESTIONS.items()
    }

    def waits() -> bool:
        tasks = [task for run_id in asked.values() for task in users["admin"].task_instances(DAG_ID, run_id)]
        return len(tasks) == len(asked) and {task["state"] for task in tasks} == {"awaiting_input"}

    wait_for("the questions", waits, timeout=180)
    time.sleep(PATIENCE.total_seconds())  # an answer within seconds meets a task that is still being parked
    return asked


def accepted(users: dict[str, AirflowApi], run_id: str) -> dict[str, Any]:
    """Return whom the task took for the approver.

    :raises ApiError: when the task refused the answer.
    """
    users["admin"].wait_run(DAG_ID, run_id, timeout=120)
    path = f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{TASK_ID}/xcomEntries/return_value"
    return dict(users["admin"].call("GET", path)["value"])


def status(call: Callable[[], Any]) -> int | None:
    """Return the HTTP status with which a call is refused, or 200."""
    try:
        call()
    except ApiError as error:
        return error.status
    return 200


def test_the_setting_has_the_ids_that_fab_gave(config: Config) -> None:
    assert config.airflow_environment()["DRAWSGUARD_APPROVERS"] == "approver=3,second_approver=4"


def test_an_approver_by_id_answers_over_rest_and_nobody_else(
    runs: dict[str, str], users: dict[str, AirflowApi]
) -> None:
    run_id = runs["by id"]
    for name in ("requester", "admin"):
        assert status(lambda n=name: users[n].respond(DAG_ID, run_id, TASK_ID, "Approve")) == 403
    users["approver"].respond(DAG_ID, run_id, TASK_ID, "Approve")
    assert accepted(users, run_id) == {"name": "approver", "id": "3", "options": ["Approve"]}
    assert users["admin"].run(DAG_ID, run_id)["triggering_user_name"] == "requester"


def test_a_member_of_the_role_answers_and_the_administrator_does_not(
    runs: dict[str, str], users: dict[str, AirflowApi]
) -> None:
    run_id = runs["by role"]
    assert status(lambda: users["admin"].respond(DAG_ID, run_id, TASK_ID, "Approve")) == 403
    users["second_approver"].respond(DAG_ID, run_id, TASK_ID, "Approve")
    assert accepted(users, run_id)["name"] == "second_approver"


@pytest.mark.parametrize(
    ("question", "answers", "reason"),
    [
        # Without ids Airflow lets everybody answer who may edit the DAG.
        ("no ids", "admin", "admin may not approve this"),
        ("another's id", "approver", "DRAWSGUARD_APPROVERS says 4"),
    ],
)
def test_what_airflow_lets_through_the_task_refuses(
    question: str, answers: str, reason: str, runs: dict[str, str], users: dict[str, AirflowApi]
) -> None:
    run_id = runs[question]
    users[answers].respond(DAG_ID, run_id, TASK_ID, "Approve")
    with pytest.raises(ApiError, match=f"failed in {TASK_ID}"):
        accepted(users, run_id)
    logs = users["admin"].call("GET", f"/dags/{DAG_ID}/dagRuns/{run_id}/taskInstances/{TASK_ID}/logs/1")
    assert reason in str(logs)


def test_roles_keep_asking_answering_and_deleting_apart(runs: dict[str, str], users: dict[str, AirflowApi]) -> None:
    run_id = runs["kept apart"]
    run = f"/dags/{DAG_ID}/dagRuns/{run_id}"
    done = {"new_state": "success"}
    xcom = {"key": "return_value", "value": "approved"}
    assert status(lambda: users["approver"].trigger(DAG_ID, {"approvers": "role:points_approver"})) == 403
    assert status(lambda: users["approver"].call("PATCH", f"{run}/taskInstances/{TASK_ID}", json=done)) == 403
    assert status(lambda: users["requester"].call("DELETE", run)) == 403
    entries = f"{run}/taskInstances/{TASK_ID}/xcomEntries"
    assert status(lambda: users["requester"].call("POST", entries, json=xcom)) == 403
    users["approver"].respond(DAG_ID, run_id, TASK_ID, "Reject")
    assert accepted(users, run_id)["options"] == ["Reject"]


# --- operations pages -----------------------------------------------------------------------------------------
def test_pages_take_the_read_right_of_their_dags(config: Config, users: dict[str, AirflowApi]) -> None:
    """No MySQL runs here: whoever may see the page is told so."""
    page = f"{config.airflow_url}/operations/points"
    assert requests.get(page, timeout=30).status_code == 401
    wait_for("MySQL to be missed", lambda: "MySQL 没有应答" in users["requester"].get(page).text, timeout=60)
    assert users["requester"].get(page).status_code == 503
    outsider = {"username": "outsider", "password": "outsider", "roles": [{"name": "Public"}]}
    outsider |= {"first_name": "o", "last_name": "o", "email": "outsider@example.com"}
    assert users["admin"].post(f"{config.airflow_url}/auth/fab/v1/users", outsider).status_code in (200, 201)
    assert AirflowApi(config.airflow_url, "outsider", "outsider").get(page).status_code == 403


def test_an_action_of_a_page_runs_as_the_person_who_may_trigger_its_dag(
    config: Config, users: dict[str, AirflowApi]
) -> None:
    folder = Path(get_settings().artifacts_address)
    name = "e2e/confirmed-e2e-0123456789ab.xlsx"
    (folder / name).parent.mkdir(parents=True, exist_ok=True)
    (folder / name).write_bytes(b"read by the run, which stays queued")
    files = f"{config.airflow_url}/operations/files"
    shown = {user: users[user].get(files).text for user in ("requester", "approver")}
    assert 'type="file"' in shown["requester"]
    assert 'type="file"' not in shown["approver"], "it may only answer"
    token = re.findall(r'name="token" value="([^"]+)"', shown["requester"])[0]
    form = {"token": token, "workbook": name, "dry_run": "no"}

    def start(user: str, **headers: str) -> requests.Response:
        address, ours = f"{files}/downline?lang=en", {"Sec-Fetch-Site": "same-origin"}
        return users[user].send_form(address, form, ours | headers)

    assert start("approver").status_code == 403
    assert start("requester", **{"Sec-Fetch-Site": "cross-site"}).status_code == 403
    assert start("admin").status_code == 403, "another's token"
    assert users["admin"].runs(DOWNLINE) == []
    answer = start("requester")
    assert answer.status_code == 200, answer.text
    assert "This DAG is paused" in answer.text
    (run,) = users["admin"].runs(DOWNLINE)
    assert run["triggering_user_name"] == "requester"
    assert run["conf"] == {"workbook": f"{folder}/{name}", "dry_run": False}
    assert f"/dags/{DOWNLINE}/runs/{quote(run['dag_run_id'], safe='')}" in answer.text
    entries = users["admin"].call("GET", "/eventLogs", params={"event": "operations_trigger"})["event_logs"]
    assert [(entry["owner"], entry["dag_id"], entry["run_id"]) for entry in entries] == [
        ("requester", DOWNLINE, run["dag_run_id"])
    ]
    shutil.rmtree((folder / name).parent)


def test_pages_know_the_questions_that_wait(config: Config, runs: dict[str, str]) -> None:
    asked = (
        "from hooks.waiting_questions import waiting_questions as ask; print(ask(['approval_probe'])); print(ask([]))"
    )
    environment = os.environ | config.airflow_environment() | {"PYTHONPATH": str(REPOSITORY / "plugins")}
    printed = subprocess.run(
        [sys.executable, "-c", asked], env=environment, capture_output=True, text=True, check=True, timeout=120
    ).stdout.strip()
    assert f"run_id='{runs['browser']}', task_id='{TASK_ID}', map_index=-1" in printed
    assert printed.endswith("]\n[]")


# --- in the browser -----------------------------------------------------------------------------------------
@pytest.fixture
def page() -> Iterator[Page]:
    executable = next(filter(None, map(shutil.which, BROWSERS)))
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=BROWSER_OPTIONS)
        page = browser.new_page(locale="en-US")
        page.set_default_timeout(60_000)
        yield page
        browser.close()


def test_a_page_is_shown_in_airflows_frame(page: Page, config: Config) -> None:
    page.goto(f"{config.airflow_url}/plugin/operations-points")
    page.fill("input[name=username]", "requester")
    page.fill("input[name=password]", config.passwords()["requester"])
    page.press("input[name=password]", "Enter")
    frame = page.frame_locator("iframe")
    frame.get_by_role("heading", name="MySQL 没有应答").wait_for()
    frame.get_by_role("link", name="English").click()
    frame.get_by_role("heading", name="MySQL does not answer").wait_for()


def open_question(page: Page, config: Config, user: str, run_id: str) -> None:
    """Open a question as its link in a mail does, and sign in."""
    page.goto(f"{config.airflow_url}/dags/{DAG_ID}/runs/{run_id}/tasks/{TASK_ID}/required_actions")
    page.fill("input[name=username]", user)
    page.fill("input[name=password]", config.passwords()[user])
    page.press("input[name=password]", "Enter")


def test_an_approver_answers_in_the_browser(
    page: Page, config: Config, runs: dict[str, str], users: dict[str, AirflowApi]
) -> None:
    run_id = runs["browser"]
    open_question(page, config, "approver", run_id)
    with page.expect_response(lambda answer: answer.request.method == "PATCH") as answer:
        page.get_by_role("button", name="Approve", exact=True).click()
    assert answer.value.status == 200
    assert accepted(users, run_id) == {"name": "approver", "id": "3", "options": ["Approve"]}
