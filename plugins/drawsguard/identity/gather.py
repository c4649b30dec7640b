"""Fetch what the checks read. The HTTP client is passed in, so nothing here knows Airflow."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import jwt

from drawsguard.identity.model import Answer, Place, Service, ServiceAnswers
from drawsguard.identity.token import verified_claims
from drawsguard.settings import Settings


class Api(Protocol):
    """An authorised JSON-over-HTTP client."""

    def call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send a request with the caller's Google credentials."""

    def visit(self, url: str, token: str | None) -> Answer:
        """GET an address with the given bearer token, or with none; never with the caller's credentials."""


@dataclass(frozen=True)
class Endpoints:
    """Addresses of the control-plane resources of one service."""

    settings: Settings
    place: Place

    def accounts(self) -> str:
        """Collection of service accounts."""
        return f"{self.settings.iam_url}/v1/projects/{self.place.project}/serviceAccounts"

    def account(self, service: Service) -> str:
        """One service account."""
        return f"{self.accounts()}/{self.place.email(service.account)}"

    def run_service(self, service: Service) -> str:
        """One Cloud Run service."""
        root = f"{self.settings.run_url}/v2/projects/{self.place.project}/locations/{self.place.location}"
        return f"{root}/services/{service.name}"

    def jobs(self) -> str:
        """Collection of Cloud Scheduler jobs."""
        root = f"{self.settings.scheduler_url}/v1/projects/{self.place.project}"
        return f"{root}/locations/{self.place.location}/jobs"

    def job(self, service: Service) -> str:
        """One Cloud Scheduler job."""
        return f"{self.jobs()}/{service.job}"

    def token(self, service: Service) -> str:
        """Method that makes an identity token for the service's account."""
        email = self.place.email(service.account)
        return f"{self.settings.iam_credentials_url}/v1/projects/-/serviceAccounts/{email}:generateIdToken"

    def project(self) -> str:
        """The project."""
        return f"{self.settings.resource_manager_url}/v3/projects/{self.place.project}"


def gather(service: Service, api: Api, endpoints: Endpoints) -> ServiceAnswers:
    """Fetch everything that the checks and the repair plan read about one service.

    Reads only: of the calls made, only generateIdToken creates something, a token that is not stored.
    """
    run_service = api.call("GET", endpoints.run_service(service))
    address = str(run_service.body.get("uri", ""))
    token = api.call("POST", endpoints.token(service), {"audience": address, "includeEmail": True})
    claims: Mapping[str, Any] = {}
    token_error = ""
    if token.ok:
        keys = api.visit(endpoints.settings.token_keys_url, None)
        try:
            claims = verified_claims(str(token.body.get("token")), keys.body)
        except jwt.PyJWTError as error:
            token_error = f"{error} (keys: {keys.describe()})"
    unreached = Answer(None, error="not tried: the service or its token is missing")
    health = f"{address}{service.health_path}"
    # Version 3 is the first that shows conditions; older ones hide them.
    version = {"options": {"requestedPolicyVersion": 3}}
    return ServiceAnswers(
        account=api.call("GET", endpoints.account(service)),
        account_policy=api.call("POST", f"{endpoints.account(service)}:getIamPolicy", version),
        run_service=run_service,
        run_policy=api.call("GET", f"{endpoints.run_service(service)}:getIamPolicy?options.requestedPolicyVersion=3"),
        job=api.call("GET", endpoints.job(service)),
        token=token,
        project=api.call("GET", endpoints.project()),
        project_policy=api.call("POST", f"{endpoints.project()}:getIamPolicy", version),
        health_with_token=api.visit(health, str(token.body["token"])) if address and token.ok else unreached,
        health_without_token=api.visit(health, None) if address else unreached,
        claims=claims,
        token_error=token_error,
    )
