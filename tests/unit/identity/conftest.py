"""A control plane on a free port, and a client that talks to it with nothing of Airflow in between."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import requests

from drawsguard.identity.checks import run_checks
from drawsguard.identity.gather import Endpoints, gather
from drawsguard.identity.model import Answer, CheckResult, Place, Service, load_services
from drawsguard.identity.repair import Plan, apply_plan, make_plan
from drawsguard.settings import Settings, get_settings
from local.google.server import make_server


class PlainApi:
    """The same calls as the hook's, through requests alone."""

    def __init__(self) -> None:
        self.written: list[str] = []

    def call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
        read_only = method == "GET" or url.endswith((":getIamPolicy", ":generateIdToken"))
        if not read_only:
            self.written.append(f"{method} {url}")
        return self._answer(requests.request(method, url, json=body, timeout=5))

    def visit(self, url: str, token: str | None) -> Answer:
        return self._answer(requests.get(url, headers={"Authorization": f"Bearer {token}"} if token else {}, timeout=5))

    @staticmethod
    def _answer(response: requests.Response) -> Answer:
        return Answer(response.status_code, response.json())


@dataclass
class Console:
    """The control plane as an operator sees it: break, check, plan, apply."""

    address: str
    settings: Settings

    def __post_init__(self) -> None:
        self.api = PlainApi()
        self.place = Place.of(self.settings)
        self.endpoints = Endpoints(self.settings, self.place)
        self.services = {service.name: service for service in load_services().services}
        self.service = self.services["data-sync-service"]

    def fault(self, name: str, service: str = "data-sync-service") -> None:
        requests.post(f"{self.address}/faults", json={"fault": name, "service": service}, timeout=5).raise_for_status()

    def restore(self) -> None:
        requests.post(f"{self.address}/faults", json={"propagation_seconds": 0}, timeout=5).raise_for_status()
        requests.delete(f"{self.address}/faults", timeout=5).raise_for_status()

    def results(self, service: Service | None = None) -> list[CheckResult]:
        chosen = service or self.service
        return run_checks(chosen, gather(chosen, self.api, self.endpoints), self.place, datetime.now(UTC))

    def codes(self, service: Service | None = None) -> set[str]:
        return {finding.code for result in self.results(service) for finding in result.findings}

    def plan(self) -> Plan:
        answers = gather(self.service, self.api, self.endpoints)
        runner = self.settings.identity_runner
        return make_plan(self.service, answers, self.place, self.endpoints, runner, datetime.now(UTC))

    def repair(self) -> list[str]:
        return apply_plan(self.plan(), self.api)


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder: Path = tmp_path_factory.mktemp("google")
    server = make_server("127.0.0.1", 0, folder)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()


@pytest.fixture
def console(control_plane: str) -> Iterator[Console]:
    names = ("iam_url", "run_url", "scheduler_url", "iam_credentials_url", "resource_manager_url")
    update = dict.fromkeys(names, control_plane) | {"token_keys_url": f"{control_plane}/oauth2/v3/certs"}
    console = Console(control_plane, get_settings().model_copy(update=update))
    console.restore()
    yield console
    console.restore()
