"""A thin JSON-over-HTTP client for Google's control planes, with the credentials of an Airflow connection."""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import Any

import requests
from airflow.providers.google.common.hooks.base_google import GoogleBaseHook
from google.auth.credentials import AnonymousCredentials
from google.auth.exceptions import GoogleAuthError
from google.auth.transport.requests import AuthorizedSession

from drawsguard.identity.model import Answer

TIMEOUT_SECONDS = 10


class GoogleIdentityHook(GoogleBaseHook):
    """Answers of the IAM, Cloud Run, Cloud Scheduler and Resource Manager REST APIs, failures included.

    The identity checks judge refusals, so HTTP errors are returned as answers and not raised.
    """

    @cached_property
    def _session(self) -> AuthorizedSession:
        credentials = self.get_credentials()
        # Anonymous credentials cannot be refreshed; a 401 is then the answer.
        codes = () if isinstance(credentials, AnonymousCredentials) else (401,)
        return AuthorizedSession(credentials, refresh_status_codes=codes)

    def call(self, method: str, url: str, body: Mapping[str, Any] | None = None) -> Answer:
        """Send a request with the connection's credentials and return its answer.

        :param method: HTTP method.
        :param url: full address.
        :param body: JSON body, or None for none.
        """
        return self._answer(self._session, method, url, body, {})

    def visit(self, url: str, token: str | None) -> Answer:
        """GET an address with the given bearer token, or with none, and without the connection's credentials."""
        headers = {"Authorization": f"Bearer {token}"} if token else {}
        with requests.Session() as session:
            return self._answer(session, "GET", url, None, headers)

    @staticmethod
    def _answer(
        session: requests.Session, method: str, url: str, body: Mapping[str, Any] | None, headers: Mapping[str, str]
    ) -> Answer:
        try:
            response = session.request(method, url, json=body, headers=dict(headers), timeout=TIMEOUT_SECONDS)
        except (requests.RequestException, GoogleAuthError) as error:
            return Answer(None, error=f"{method} {url}: {error}")
        try:
            content = response.json()
        except requests.JSONDecodeError:
            content = {}
        return Answer(response.status_code, content if isinstance(content, dict) else {}, error=response.text[:200])
