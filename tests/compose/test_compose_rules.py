"""docker-compose.yaml keeps each rule, and each rule fires on a file that breaks it."""

from __future__ import annotations

import copy
from collections.abc import Callable
from typing import Any

import pytest

from tests.compose import rules
from tests.compose.rules import Compose


@pytest.fixture
def compose() -> Compose:
    return copy.deepcopy(rules.load())


@pytest.mark.parametrize("rule", rules.RULES, ids=lambda rule: rule.__name__)
def test_the_compose_file_keeps_the_rule(rule: Callable[[Compose], list[str]], compose: Compose) -> None:
    assert rule(compose) == []


def put(*path: str, value: Any) -> Callable[[Compose], None]:
    """Return a change that sets ``services.<path>``; ``None`` takes it away."""

    def change(compose: Compose) -> None:
        place = compose["services"]
        for step in path[:-1]:
            place = place[step]
        if value is None:
            del place[path[-1]]
        else:
            place[path[-1]] = value

    return change


@pytest.mark.parametrize(
    ("rule", "change", "message"),
    [
        ("images_are_pinned", put("redis", "image", value="redis"), "redis: the image 'redis'"),
        ("images_are_pinned", put("redis", "image", value="redis:latest"), "redis:latest"),
        ("images_are_pinned", put("mysql", "image", value="mysql:8.4"), "mysql:8.4"),
        ("images_are_pinned", put("postgres", "image", value="postgres:17"), "postgres:17"),
        ("services_have_health_checks", put("hive", "healthcheck", value=None), "hive: runs for ever"),
        ("dependencies_have_conditions", put("redis", "depends_on", value=["secrets"]), "has no conditions"),
        (
            "dependencies_have_conditions",
            put("airflow-scheduler", "depends_on", value={"airflow-api-server": {"condition": "service_started"}}),
            "by service_started",
        ),
        (
            "dependencies_have_conditions",
            put("mysql", "depends_on", value={"secrets": {"condition": "service_healthy"}}),
            "not service_completed_successfully",
        ),
        (
            "dependencies_have_conditions",
            put("mysql", "depends_on", value={"gone": {"condition": "service_healthy"}}),
            "which is not there",
        ),
        ("ports_are_on_loopback", put("mysql", "ports", value=["3306:3306"]), "open to the network"),
        ("ports_are_on_loopback", put("mysql", "ports", value=["0.0.0.0:3306:3306"]), "open to the network"),
        ("published_ports_differ", put("mysql", "ports", value=["127.0.0.1:8080:3306"]), "is also that of"),
        (
            "no_secret_is_written",
            put("postgres", "environment", "POSTGRES_PASSWORD", value="airflow"),
            "POSTGRES_PASSWORD is a secret",
        ),
        (
            "no_secret_is_written",
            put("airflow-scheduler", "environment", "AIRFLOW__API_AUTH__JWT_SECRET", value="same-for-all"),
            "JWT_SECRET is a secret",
        ),
        (
            "no_secret_is_written",
            put("airflow-scheduler", "environment", "METADATA", value="postgresql://airflow:airflow@postgres/airflow"),
            "an address with a password",
        ),
        (
            "no_secret_is_written",
            put("redis", "command", value="redis-server --requirepass hunter2"),
            "a password is an argument",
        ),
        ("no_secret_is_written", put("redis", "environment", value=["A=b"]), "as a mapping"),
        (
            "code_and_secrets_are_read_only",
            put("airflow-scheduler", "volumes", value=["./dags:/opt/drawsguard/dags"]),
            "can write to ./dags",
        ),
        (
            "code_and_secrets_are_read_only",
            put("redis", "volumes", value=["secrets:/stack/secrets"]),
            "can write to secrets",
        ),
        ("volumes_are_declared", put("redis", "volumes", value=["other:/data"]), "the volume other"),
        (
            "airflow_processes_agree",
            put("airflow-worker", "environment", value={"AIRFLOW__CORE__EXECUTOR": "LocalExecutor"}),
            "airflow-worker: its environment differs",
        ),
    ],
)
def test_the_rule_fires(rule: str, change: Callable[[Compose], None], message: str, compose: Compose) -> None:
    change(compose)
    assert message in "\n".join(getattr(rules, rule)(compose))


def test_every_rule_has_a_negative_case() -> None:
    mark = next(mark for mark in test_the_rule_fires.pytestmark if mark.name == "parametrize")
    assert {case[0] for case in mark.args[1]} == {rule.__name__ for rule in rules.RULES}
