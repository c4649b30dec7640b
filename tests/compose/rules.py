"""The rules that docker-compose.yaml is held to. Each returns what breaks it, as sentences; none means it holds."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import yaml

REPOSITORY = Path(__file__).resolve().parents[2]

Compose = dict[str, Any]

#: PostgreSQL's full version has two numbers, that of everything else three.
PINNED = re.compile(r"(?:/|^)postgres:\d+\.\d+(-\w+)?$|:v?\d+\.\d+\.\d+(-[\w.-]+)?$")
SECRET_NAME = re.compile(r"PASSWORD|PASSWD|PWD|SECRET|TOKEN|_KEY|CREDENTIAL|AIRFLOW_CONN_|SQL_ALCHEMY_CONN|BROKER_URL")
USER_AND_PASSWORD = re.compile(r"://[^/\s:@]*:[^@\s]+@")
PASSWORD_ARGUMENT = re.compile(r"(?:requirepass|password|PWD|AUTH)[ =]+(?P<value>\S+)", re.IGNORECASE)


def load(path: Path = REPOSITORY / "docker-compose.yaml") -> Compose:
    """Return the compose file with its merge keys applied and its variables at their defaults."""
    text = re.sub(r"\$\{\w+:-([^}]*)\}", r"\1", path.read_text(encoding="utf-8"))
    return yaml.safe_load(text)


def one_shot(service: Compose) -> bool:
    """Whether a service ends by itself."""
    return service.get("restart") in ("no", "on-failure")


def strings(value: Any) -> Iterator[str]:
    """Yield every string in a parsed document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for part in value.values():
            yield from strings(part)
    elif isinstance(value, list):
        for part in value:
            yield from strings(part)


def images_are_pinned(compose: Compose) -> list[str]:
    return [
        f"{name}: the image {service.get('image')!r} has no full version"
        for name, service in compose["services"].items()
        if not PINNED.search(service.get("image", ""))
    ]


def services_have_health_checks(compose: Compose) -> list[str]:
    return [
        f"{name}: runs for ever and has no health check"
        for name, service in compose["services"].items()
        if not one_shot(service) and not service.get("healthcheck", {}).get("test")
    ]


def dependencies_have_conditions(compose: Compose) -> list[str]:
    """A service waits for health, or for the end of what ends: any other waiting is a race or for ever."""
    broken = []
    for name, service in compose["services"].items():
        needs = service.get("depends_on", {})
        if isinstance(needs, list):
            broken.append(f"{name}: depends_on has no conditions")
            continue
        for other, how in needs.items():
            ends = one_shot(compose["services"].get(other, {}))
            right = "service_completed_successfully" if ends else "service_healthy"
            if other not in compose["services"]:
                broken.append(f"{name}: depends on {other}, which is not there")
            elif how.get("condition") != right:
                broken.append(f"{name}: waits for {other} by {how.get('condition')}, not {right}")
    return broken


def ports_are_on_loopback(compose: Compose) -> list[str]:
    return [
        f"{name}: {port!r} is open to the network"
        for name, service in compose["services"].items()
        for port in service.get("ports", [])
        if not str(port).startswith("127.0.0.1:")
    ]


def published_ports_differ(compose: Compose) -> list[str]:
    taken: dict[str, str] = {}
    broken = []
    for name, service in compose["services"].items():
        for port in service.get("ports", []):
            outside = str(port).split(":")[-2]
            if outside in taken:
                broken.append(f"{name}: the port {outside} is also that of {taken[outside]}")
            taken[outside] = name
    return broken


def no_secret_is_written(compose: Compose) -> list[str]:
    """Secrets come from files of the volume: no value, no address with a password, no password argument."""
    broken = []
    for name, service in compose["services"].items():
        environment = service.get("environment", {})
        if isinstance(environment, list):
            broken.append(f"{name}: write the environment as a mapping, so that it can be checked")
            continue
        for variable, value in environment.items():
            from_file = variable.endswith("_FILE") and str(value).startswith("/stack/secrets/")
            if SECRET_NAME.search(variable) and not from_file:
                broken.append(f"{name}: {variable} is a secret and does not come from a file of the volume")
        for text in strings(service):
            if USER_AND_PASSWORD.search(text):
                broken.append(f"{name}: an address with a password")
            broken += [
                f"{name}: a password is an argument: {match[0]}"
                for match in PASSWORD_ARGUMENT.finditer(text)
                if "$(cat" not in match["value"] and not match["value"].startswith("/stack/secrets/")
            ]
    return broken


def code_and_secrets_are_read_only(compose: Compose) -> list[str]:
    broken = []
    for name, service in compose["services"].items():
        for volume in service.get("volumes", []):
            source, _, rest = volume.partition(":")
            protected = source.startswith(".") or source == "secrets"
            makes_secrets = name == "secrets" and source == "secrets"
            if protected and not rest.endswith(":ro") and not makes_secrets:
                broken.append(f"{name}: can write to {source}")
    return broken


def volumes_are_declared(compose: Compose) -> list[str]:
    used = {
        volume.partition(":")[0]
        for service in compose["services"].values()
        for volume in service.get("volumes", [])
        if not volume.startswith(".")
    }
    declared = set(compose["volumes"])
    return [f"the volume {name} is used and not declared, or declared and not used" for name in used ^ declared]


def airflow_processes_agree(compose: Compose) -> list[str]:
    """Tokens, the fernet key and the metadata are shared: one environment, one state, for every Airflow process."""
    services = {n: s for n, s in compose["services"].items() if n.startswith("airflow-")}
    first = services["airflow-api-server"]
    return [
        f"{name}: its {part} differs from the API server's"
        for name, service in services.items()
        for part in ("image", "environment", "volumes", "env_file")
        if service.get(part) != first.get(part)
    ]


def secret_files(compose: Compose) -> set[str]:
    """Return the names of the secret files that the compose file reads."""
    return {name for text in strings(compose["services"]) for name in re.findall(r"/stack/secrets/(\w+)", text)}


RULES = (
    images_are_pinned,
    services_have_health_checks,
    dependencies_have_conditions,
    ports_are_on_loopback,
    published_ports_differ,
    no_secret_is_written,
    code_and_secrets_are_read_only,
    volumes_are_declared,
    airflow_processes_agree,
)
