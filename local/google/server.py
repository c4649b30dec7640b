"""The local control plane: iam v1, run v2, cloudscheduler v1, iamcredentials v1, cloudresourcemanager v3.

It speaks the REST shapes that the identity checks read, signs real RS256 tokens, and serves the services' /health,
which verify them. ``POST /faults {"fault": …, "service": …}`` breaks it, ``DELETE /faults`` repairs everything.
"""

from __future__ import annotations

import base64
import json
import re
import threading
import time
from collections import deque
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from http.server import ThreadingHTTPServer
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import jwt
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric import rsa

from drawsguard.identity.model import Place, load_services
from drawsguard.settings import get_settings
from local.google import state as plane
from local.google.logs import Attempt, Change, LogSink
from local.serving import Answers, command_line

TOKEN_SECONDS = 3600
KEY_ID = "local-1"
ISSUER = "https://accounts.google.com"
GRPC_STATUS = {400: "INVALID_ARGUMENT", 401: "UNAUTHENTICATED", 403: "PERMISSION_DENIED", 404: "NOT_FOUND",
               409: "ABORTED", 503: "UNAVAILABLE"}  # fmt: skip
Reply = tuple[int, dict[str, Any]]


class RefusedError(Exception):
    """An answer other than 200."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.reply: Reply = (
            status,
            {"error": {"code": status, "message": message, "status": GRPC_STATUS.get(status, "UNKNOWN")}},
        )


def _number(value: int) -> str:
    raw = value.to_bytes((value.bit_length() + 7) // 8, "big")
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()


class ControlPlane:
    """Requests against the state; each mutation is saved before it is answered."""

    def __init__(self, folder: Path, address: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.address = address
        self._file, self._key_file = folder / "state.json", folder / "signing_key.pem"
        self._lock = threading.RLock()
        self._key = self._load_key()
        self.state = json.loads(self._file.read_text()) if self._file.exists() else plane.healthy_state(address)
        #: Policies as they were, with the time of their replacement: IAM changes take effect late.
        self._replaced: dict[str, list[tuple[float, dict[str, Any]]]] = {}
        #: When accounts were created since the start.
        self._created: dict[str, float] = {}
        self._attempts: list[Attempt] = []
        #: Requests that were answered with an error, as the log lists them: the newest.
        self._errors: deque[Attempt] = deque(maxlen=1000)
        self._changes: list[Change] = []
        for name, job in self.state["jobs"].items():
            self._attempt_if_due(name, job)
        self._save()

    def _load_key(self) -> rsa.RSAPrivateKey:
        if self._key_file.exists():
            loaded = serialization.load_pem_private_key(self._key_file.read_bytes(), None)
            assert isinstance(loaded, rsa.RSAPrivateKey)  # noqa: S101 - narrows the type of our own file
            return loaded
        key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        pem = key.private_bytes(
            serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
        )
        self._key_file.touch(mode=0o600)
        self._key_file.write_bytes(pem)
        return key

    def _save(self) -> None:
        plane.save(self.state, self._file)

    # --- routing ------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, body: dict[str, Any], authorization: str) -> Reply:
        """Return status and JSON of one request."""
        parts = urlsplit(path)
        with self._lock:
            for pattern, handler in _ROUTES:
                match = re.fullmatch(pattern, f"{method} {parts.path}")
                if match:
                    try:
                        reply = handler(self, match, body, parse_qs(parts.query), authorization)
                    except RefusedError as refused:
                        return refused.reply
                    if method != "GET":
                        self._save()
                        self._audit(handler, match, parts.path)
                    return reply
        return RefusedError(404, f"No such method: {method} {parts.path}").reply

    def _audit(self, handler: Callable[..., Reply], match: re.Match[str], path: str) -> None:
        """Remember a change for the audit log; reading a policy by POST is not a change."""
        verb = match.groupdict().get("verb", "")
        if handler in _AUDITED and verb != "getIamPolicy":
            api, name = _AUDITED[handler]
            runner = Place.of(get_settings()).member(get_settings().identity_runner).removeprefix("serviceAccount:")
            method = name.format(verb=verb.capitalize())
            self._changes.append(Change(api, method, path.split(":")[0], runner, datetime.now(UTC)))

    def changed(self) -> list[Change]:
        """Return every change since the last time."""
        with self._lock:
            changes, self._changes = self._changes, []
        return changes

    # --- iam and iamcredentials ---------------------------------------------------------------------------------------

    def _account(self, email: str) -> dict[str, Any]:
        account: dict[str, Any] | None = self.state["accounts"].get(email)
        if account is None or not self._known(email):
            raise RefusedError(404, f"Unknown service account {email}")
        return account

    def _known(self, email: str) -> bool:
        """Whether an account has reached every part of the control plane: a new one takes a while."""
        created_at = self._created.get(email, 0.0)
        return email in self.state["accounts"] and time.time() - created_at >= float(self.state["account_seconds"])

    def get_account(self, match: re.Match[str], *_: Any) -> Reply:
        return 200, self._account(match["email"])

    def create_account(self, match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        email = f"{body['accountId']}@{match['project']}.iam.gserviceaccount.com"
        if email in self.state["accounts"]:
            raise RefusedError(409, f"Service account {body['accountId']} already exists")
        self.state["accounts"][email] = plane.new_account(match["project"], email)
        self._created[email] = time.time()
        self.state["account_policies"][email] = {"etag": "0", "bindings": []}
        return 200, self.state["accounts"][email]

    def switch_account(self, match: re.Match[str], *_: Any) -> Reply:
        self._account(match["email"])["disabled"] = match["verb"] == "disable"
        return 200, {}

    def account_policy(self, match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        self._account(match["email"])
        return self._policy(self.state["account_policies"], match["email"], match["verb"], body)

    def generate_token(self, match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        email = match["email"]
        account = self._account(email)
        place = Place.of(get_settings())
        runner = place.member(get_settings().identity_runner)
        policy = self.state["account_policies"][email]
        if account["disabled"] or not _holds(policy, "roles/iam.serviceAccountTokenCreator", runner):
            raise RefusedError(403, f"Permission 'iam.serviceAccounts.getOpenIdToken' denied on {email}")
        return 200, {"token": self.sign(email, str(body.get("audience", "")))}

    def sign(self, email: str, audience: str) -> str:
        """Return a signed identity token for an account."""
        now = int(time.time())
        claims = {"iss": ISSUER, "aud": audience, "azp": email, "sub": email, "email": email, "email_verified": True,
                  "iat": now, "exp": now + TOKEN_SECONDS}  # fmt: skip
        claims |= self.state["token_faults"].get(email, {})
        return jwt.encode(claims, self._key, algorithm="RS256", headers={"kid": KEY_ID})

    def keys(self, *_: Any) -> Reply:
        numbers = self._key.public_key().public_numbers()
        key = {"kty": "RSA", "alg": "RS256", "use": "sig", "kid": KEY_ID}
        return 200, {"keys": [{**key, "n": _number(numbers.n), "e": _number(numbers.e)}]}

    # --- policies -----------------------------------------------------------------------------------------------------

    def _policy(self, policies: dict[str, Any], name: str, verb: str, body: dict[str, Any]) -> Reply:
        policy = policies[name]
        if verb == "getIamPolicy":
            return 200, policy
        wanted = body["policy"]
        if wanted.get("etag") not in ("", None, policy["etag"]):
            raise RefusedError(409, "There were concurrent policy changes; read the policy again")
        for binding in wanted["bindings"]:
            for member in binding["members"]:
                email = member.removeprefix("serviceAccount:")
                runner = f"{get_settings().identity_runner}@"
                known = self._known(email) or "gcp-sa-" in email or email.startswith(runner)
                if member.startswith("serviceAccount:") and not known:
                    raise RefusedError(400, f"Service account {email} does not exist.")
        self._replaced.setdefault(name, []).append((time.time(), dict(policy)))
        policies[name] = {"etag": str(int(policy["etag"]) + 1), "bindings": wanted["bindings"]}
        return 200, policies[name]

    def _effective(self, policies: dict[str, Any], name: str) -> dict[str, Any]:
        """Return the policy that is in force: changes younger than the propagation time are not."""
        oldest = time.time() - float(self.state["propagation_seconds"])
        for replaced_at, policy in self._replaced.get(name, []):
            if replaced_at > oldest:
                return policy
        present: dict[str, Any] = policies[name]
        return present

    def run_policy(self, match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        self._service(match["service"])
        return self._policy(self.state["run_policies"], match["service"], match["verb"], body)

    def project_policy(self, match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        return self._policy(self.state, "project_policy", match["verb"], body)

    def tested_permissions(self, _match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        """Airflow's own account holds every permission here, but for those that a test takes away."""
        denied = self.state.get("denied_permissions", [])
        return 200, {"permissions": [one for one in body.get("permissions", []) if one not in denied]}

    def get_project(self, match: re.Match[str], *_: Any) -> Reply:
        return 200, {"name": f"projects/{plane.PROJECT_NUMBER}", "projectId": match["project"], "state": "ACTIVE"}

    # --- run ----------------------------------------------------------------------------------------------------------

    def _service(self, name: str) -> dict[str, Any]:
        if name not in self.state["services"]:
            raise RefusedError(404, f"Resource 'services/{name}' was not found")
        service: dict[str, Any] = self.state["services"][name]
        return service

    def get_service(self, match: re.Match[str], *_: Any) -> Reply:
        return 200, self._service(match["service"])

    def patch_service(self, match: re.Match[str], body: dict[str, Any], query: dict[str, list[str]], *_: Any) -> Reply:
        service = self._service(match["service"])
        for field in query["updateMask"][0].split(","):
            if field == "template.labels":  # a new revision: it starts from the same image, this time successfully
                service["template"] = {"labels": body["template"]["labels"]}
                service["terminalCondition"] = {"type": "Ready", "state": "CONDITION_SUCCEEDED"}
                self.state["down"] = [name for name in self.state["down"] if name != match["service"]]
            else:
                service[field] = body[field]
        return 200, {"name": f"{service['name']}/operations/1", "done": True, "response": service}

    def visit(self, match: re.Match[str], _body: Any, _query: Any, authorization: str) -> Reply:
        """A request to a service: Cloud Run's own checks, then the service's answer."""
        status, message = self._verdict(match["service"], authorization)
        if status != 200:
            raise RefusedError(status, message)
        return 200, {"status": "healthy", "service": match["service"]}

    def _verdict(self, name: str, authorization: str) -> tuple[int, str]:
        service = self._service(name)
        if service["ingress"] != "INGRESS_TRAFFIC_ALL":
            return 403, "Access is forbidden: the ingress setting refuses this caller"
        policy = self._effective(self.state["run_policies"], name)
        if not service["invokerIamDisabled"] and not _holds(policy, INVOKER, "allUsers"):
            status, message = self._caller_verdict(service, policy, authorization)
            if status != 200:
                return status, message
        if name in self.state["down"] or service["terminalCondition"]["state"] != "CONDITION_SUCCEEDED":
            return 503, "The service has no ready revision"
        return 200, "OK"

    def _caller_verdict(self, service: dict[str, Any], policy: dict[str, Any], authorization: str) -> tuple[int, str]:
        if not authorization.startswith("Bearer "):
            return 403, "The request was not authenticated: it has no identity token"
        try:
            claims = jwt.decode(
                authorization.removeprefix("Bearer "), self._key.public_key(), algorithms=["RS256"], issuer=ISSUER,
                options={"verify_aud": False},
            )  # fmt: skip
        except jwt.PyJWTError as error:
            return 401, f"The identity token is invalid: {error}"
        audiences = [*service["urls"], *service["customAudiences"]]
        if not any(claims["aud"] == entry or claims["aud"].startswith(f"{entry}/") for entry in audiences):
            return 401, f"The identity token is for {claims['aud']}, not for this service"
        if not claims["email_verified"] or not self._may_invoke(policy, claims["email"]):
            return 403, "The caller does not have permission run.routes.invoke"
        return 200, "OK"

    def _may_invoke(self, policy: dict[str, Any], email: str) -> bool:
        """Whether an account may call a service: granted to it or to its groups, on the service or on the project."""
        groups = [name for name, emails in self.state.get("groups", {}).items() if email in emails]
        project = self._effective(self.state, "project_policy")
        return any(
            _holds(one, role, member)
            for one in (policy, project)
            for role in (INVOKER, "roles/run.servicesInvoker")
            for member in (f"serviceAccount:{email}", *groups)
        )

    # --- cloud scheduler ----------------------------------------------------------------------------------------------

    def _job(self, name: str) -> dict[str, Any]:
        if name not in self.state["jobs"]:
            raise RefusedError(404, f"Job not found: {name}")
        job: dict[str, Any] = self.state["jobs"][name]
        return job

    def get_job(self, match: re.Match[str], *_: Any) -> Reply:
        job = self._job(match["job"])
        self._attempt_if_due(match["job"], job)
        return 200, {key: value for key, value in job.items() if key != "stuck"}

    def create_job(self, _match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        name = body["name"].rsplit("/", 1)[1]
        if name in self.state["jobs"]:
            raise RefusedError(409, f"Job {name} already exists")
        self._account(body["httpTarget"]["oidcToken"]["serviceAccountEmail"])
        self.state["jobs"][name] = {**body, "state": "ENABLED", "status": {}}
        return 200, self.state["jobs"][name]

    def patch_job(self, match: re.Match[str], body: dict[str, Any], query: dict[str, list[str]], *_: Any) -> Reply:
        job = self._job(match["job"])
        job.update({field: body[field] for field in query["updateMask"][0].split(",")})
        return 200, job

    def act_on_job(self, match: re.Match[str], *_: Any) -> Reply:
        job = self._job(match["job"])
        if match["verb"] == "run":
            self._attempt(match["job"], job)
            job.pop("stuck", None)
        else:
            job["state"] = "ENABLED" if match["verb"] == "resume" else "PAUSED"
        return 200, job

    def _attempt_if_due(self, name: str, job: dict[str, Any]) -> None:
        minutes = int(job["schedule"].split()[0].removeprefix("*/").replace("*", "1"))
        last = datetime.fromisoformat(job.get("lastAttemptTime", "2000-01-01T00:00:00Z"))
        due = datetime.now(UTC) - last > timedelta(minutes=minutes)
        if due and job["state"] == "ENABLED" and not job.get("stuck"):
            self._attempt(name, job)

    def attempt_due(self) -> list[Attempt]:
        """Call the services of the jobs that are due, and return every attempt since the last time."""
        with self._lock:
            for name, job in self.state["jobs"].items():
                self._attempt_if_due(name, job)
            attempts, self._attempts = self._attempts, []
        return attempts

    def _attempt(self, name: str, job: dict[str, Any]) -> None:
        started = time.monotonic()
        job["lastAttemptTime"] = plane.now_text()
        job["status"] = {}
        code = self._attempt_code(name, job["httpTarget"])
        service = {one.job: one.name for one in load_services().services}[name]
        http_status = {0: 200, 5: 404, 7: 403, 16: 401}.get(code, 503)
        now = datetime.fromisoformat(job["lastAttemptTime"])
        url = job["httpTarget"]["uri"]
        attempt = Attempt(name, service, url, now, http_status, time.monotonic() - started)
        self._attempts.append(attempt)
        if http_status >= 500:
            self._errors.append(attempt)
        if code:
            job["status"] = {"code": code, "message": {7: "PERMISSION_DENIED", 16: "UNAUTHENTICATED"}.get(code, "")}

    def _attempt_code(self, name: str, target: dict[str, Any]) -> int:
        agent_policy = self._effective(self.state, "project_policy")
        token = target.get("oidcToken")
        services = {service.job: service.name for service in load_services().services}
        if token is None:
            authorization = ""
        else:
            account = self.state["accounts"].get(token["serviceAccountEmail"])
            if account is None or account["disabled"]:
                return 7
            if not _holds(agent_policy, "roles/cloudscheduler.serviceAgent", plane.AGENT):
                return 7
            audience = token.get("audience") or target["uri"]
            authorization = f"Bearer {self.sign(token['serviceAccountEmail'], audience)}"
        if not target["uri"].startswith(self.address):
            return 5
        status, _ = self._verdict(services[name], authorization)
        return {200: 0, 401: 16, 403: 7}.get(status, 14)

    def list_entries(self, _match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        """Cloud Logging's list, for the one filter that is asked for: server errors of some services since a time."""
        found = re.fullmatch(
            r'log_id\("run\.googleapis\.com/requests"\) AND resource\.type="cloud_run_revision" '
            r"AND resource\.labels\.service_name=\((.+)\) AND httpRequest\.status>=500 "
            r'AND NOT httpRequest\.requestUrl=~"/health[^"]*" AND timestamp>="([^"]+)"',
            body["filter"],
        )
        if found is None:
            raise RefusedError(400, f"unknown filter: {body['filter']}")
        names, since = re.findall(r'"([^"]+)"', found[1]), datetime.fromisoformat(found[2])
        entries = [one.entry() for one in self._errors if one.at >= since]
        return 200, {"entries": [one for one in entries if one["resource"]["labels"]["service_name"] in names]}

    # --- breaking it --------------------------------------------------------------------------------------------------

    def list_faults(self, *_: Any) -> Reply:
        return 200, {"faults": self.state["faults"], "known": list(plane.FAULTS)}

    def add_fault(self, _match: re.Match[str], body: dict[str, Any], *_: Any) -> Reply:
        for delay in ("propagation_seconds", "account_seconds"):
            if delay in body:
                self.state[delay] = float(body[delay])
                return 200, {delay: self.state[delay]}
        try:
            self.state = plane.inject(self.state, body["fault"], body["service"])
        except KeyError as error:
            raise RefusedError(400, str(error)) from error
        job = self.state["jobs"].get(load_services().named(body["service"]).job)
        if job and not job.get("stuck") and job["state"] == "ENABLED" and body["fault"] != "last_attempt_failed":
            self._attempt(job["name"].rsplit("/", 1)[1], job)
        return 200, {"faults": self.state["faults"]}

    def clear_faults(self, *_: Any) -> Reply:
        self.state = plane.healthy_state(self.address)
        self._replaced.clear()
        return 200, {"faults": []}


INVOKER = plane.INVOKER


def _holds(policy: dict[str, Any], role: str, member: str) -> bool:
    return any(
        binding["role"] == role and member in binding["members"] and not binding.get("condition")
        for binding in policy["bindings"]
    )


_ACCOUNT = r"/v1/projects/(?P<project>[^/]+)/serviceAccounts"
_RUN = r"/v2/projects/[^/]+/locations/[^/]+/services/(?P<service>[^/:]+)"
_JOBS = r"/v1/projects/[^/]+/locations/[^/]+/jobs"
_POLICY = r":(?P<verb>getIamPolicy|setIamPolicy)"
_ROUTES: list[tuple[str, Callable[..., Reply]]] = [
    (r"GET /health", lambda *_: (200, {"status": "ok"})),
    (r"GET /oauth2/v3/certs", ControlPlane.keys),
    (r"GET /faults", ControlPlane.list_faults),
    (r"POST /faults", ControlPlane.add_fault),
    (r"DELETE /faults", ControlPlane.clear_faults),
    (r"POST /v1/projects/-/serviceAccounts/(?P<email>[^/:]+):generateIdToken", ControlPlane.generate_token),
    (rf"POST {_ACCOUNT}", ControlPlane.create_account),
    (rf"GET {_ACCOUNT}/(?P<email>[^/:]+)", ControlPlane.get_account),
    (rf"POST {_ACCOUNT}/(?P<email>[^/:]+):(?P<verb>enable|disable)", ControlPlane.switch_account),
    (rf"POST {_ACCOUNT}/(?P<email>[^/:]+){_POLICY}", ControlPlane.account_policy),
    (rf"GET {_RUN}", ControlPlane.get_service),
    (rf"PATCH {_RUN}", ControlPlane.patch_service),
    (rf"(?:GET|POST) {_RUN}{_POLICY}", ControlPlane.run_policy),
    (rf"POST {_JOBS}", ControlPlane.create_job),
    (rf"GET {_JOBS}/(?P<job>[^/:]+)", ControlPlane.get_job),
    (rf"PATCH {_JOBS}/(?P<job>[^/:]+)", ControlPlane.patch_job),
    (rf"POST {_JOBS}/(?P<job>[^/:]+):(?P<verb>run|pause|resume)", ControlPlane.act_on_job),
    (r"GET /v3/projects/(?P<project>[^/:]+)", ControlPlane.get_project),
    (rf"POST /v3/projects/[^/:]+{_POLICY}", ControlPlane.project_policy),
    (r"POST /v3/projects/[^/:]+:testIamPermissions", ControlPlane.tested_permissions),
    (r"POST /v2/entries:list", ControlPlane.list_entries),
    (r"(?:GET|POST) /run/(?P<service>[^/]+)/.*", ControlPlane.visit),
]

#: What the audit log of admin activity calls each change.
_AUDITED: dict[Callable[..., Reply], tuple[str, str]] = {
    ControlPlane.create_account: ("iam.googleapis.com", "google.iam.admin.v1.CreateServiceAccount"),
    ControlPlane.switch_account: ("iam.googleapis.com", "google.iam.admin.v1.{verb}ServiceAccount"),
    ControlPlane.account_policy: ("iam.googleapis.com", "google.iam.admin.v1.SetIAMPolicy"),
    ControlPlane.patch_service: ("run.googleapis.com", "google.cloud.run.v2.Services.UpdateService"),
    ControlPlane.run_policy: ("run.googleapis.com", "google.cloud.run.v2.Services.SetIamPolicy"),
    ControlPlane.project_policy: ("cloudresourcemanager.googleapis.com", "SetIamPolicy"),
    ControlPlane.create_job: ("cloudscheduler.googleapis.com", "google.cloud.scheduler.v1.CloudScheduler.CreateJob"),
    ControlPlane.patch_job: ("cloudscheduler.googleapis.com", "google.cloud.scheduler.v1.CloudScheduler.UpdateJob"),
    ControlPlane.act_on_job: ("cloudscheduler.googleapis.com", "google.cloud.scheduler.v1.CloudScheduler.{verb}Job"),
}


class ControlPlaneServer(ThreadingHTTPServer):
    """An HTTP server with the control plane that it serves."""

    daemon_threads = True
    control_plane: ControlPlane


def make_server(host: str, port: int, folder: Path, address: str | None = None) -> ControlPlaneServer:
    """Return a server that is bound but not yet serving; port 0 takes a free one.

    :param address: where others reach it, when that is not the address it binds (in a container).
    """

    class Handler(Answers):
        protocol_version = "HTTP/1.1"

        def _serve(self) -> None:
            try:
                body = json.loads(self.read() or b"{}")
            except json.JSONDecodeError as error:
                status, reply = RefusedError(400, f"The body is not JSON: {error}").reply
            else:
                status, reply = server.control_plane.answer(
                    self.command, self.path, body or {}, self.headers.get("Authorization", "")
                )
            self.answer(status, reply)

        do_GET = do_POST = do_PATCH = do_DELETE = _serve

    server = ControlPlaneServer((host, port), Handler)
    server.control_plane = ControlPlane(folder, address or f"http://{host}:{server.server_address[1]}")
    return server


def main() -> None:
    """Serve until interrupted."""
    parser = command_line(__doc__, "state and signing key")
    parser.add_argument("--bigquery", help="address of the BigQuery emulator that gets the exported logs")
    parser.add_argument("--address", help="where others reach it (default: what it binds)")
    options = parser.parse_args()
    server = make_server(options.host, options.port, options.state, options.address)
    if options.bigquery:
        LogSink(options.bigquery, server.control_plane.attempt_due, server.control_plane.changed).start()
    server.serve_forever()


if __name__ == "__main__":
    main()
