"""Checks and plans by service name: what the operators call."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from drawsguard.identity.checks import run_checks
from drawsguard.identity.gather import Api, Endpoints, gather
from drawsguard.identity.model import CheckResult, Place, load_services
from drawsguard.identity.repair import Plan, make_plan
from drawsguard.settings import Settings


class IdentityInspector:
    """The configured services, seen through one API client. Everything here reads only."""

    def __init__(self, api: Api, settings: Settings) -> None:
        self._api, self._settings = api, settings
        self._place = Place.of(settings)
        self._endpoints = Endpoints(settings, self._place)

    def check(self, names: Sequence[str], now: datetime) -> list[CheckResult]:
        """Return the results of the seven checks for the named services, or for all when no name is given.

        :raises KeyError: when the configuration has no such service.
        """
        catalogue = load_services()
        chosen = [catalogue.named(name) for name in names] or list(catalogue.services)
        return [
            result
            for service in chosen
            for result in run_checks(service, gather(service, self._api, self._endpoints), self._place, now)
        ]

    def plan(self, name: str, now: datetime) -> Plan:
        """Return what the repair of the named service would change.

        :raises KeyError: when the configuration has no such service.
        """
        service = load_services().named(name)
        answers = gather(service, self._api, self._endpoints)
        return make_plan(service, answers, self._place, self._endpoints, self._settings.identity_runner, now)
