"""Where the embedded stack lives: state folder, hosts, ports, secrets, and the environment Airflow reads.

docker-compose.yaml uses the same module: there only the ``*_HOST`` variables and ``STACK_DIR`` differ.
"""

from __future__ import annotations

import json
import os
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

REPOSITORY = Path(__file__).resolve().parents[1]

#: Offset of each port from PORT_BASE. A port is moved alone by setting the variable of its name.
PORT_OFFSETS = {
    "SMTP_PORT": 25,
    "POSTGRES_PORT": 32,
    "MYSQL_PORT": 36,
    "BIGQUERY_PORT": 50,
    "BIGQUERY_GRPC_PORT": 51,
    "PUBSUB_PORT": 52,
    "PUBSUB_HEALTH_PORT": 53,
    "GOOGLE_PORT": 54,
    "FEED_PORT": 60,
    "NOS_PORT": 61,
    "ALERT_SINK_PORT": 62,
    "WATCHER_PORT": 63,
    "TELEMETRY_PORT": 64,
    "REDIS_PORT": 79,
    "AIRFLOW_PORT": 80,
    "SCHEDULER_HEALTH_PORT": 81,
    "SPARK_UI_PORT": 82,
    "HIVE_PORT": 100,
}

#: Airflow's users: name → role of the simple auth manager. Approvals need several names.
USERS = {"admin": "admin", "requester": "user", "approver": "user", "second_approver": "user"}

#: What AUTH_MANAGER may be → Airflow's setting.
AUTH_MANAGERS = {
    "simple": "airflow.api_fastapi.auth.managers.simple.simple_auth_manager.SimpleAuthManager",
    "fab": "auth_managers.fab.ApproverRolesFabAuthManager",
}

#: The roles of the same users where FAB is the auth manager (docs/auth.md).
FAB_ROLES = {
    "admin": ("Admin",),
    "requester": ("Viewer", "draws_operator", "points_operator"),
    "approver": ("Viewer", "draws_approver", "points_approver"),
    "second_approver": ("Viewer", "draws_approver", "points_approver"),
}
APPROVERS = ("approver", "second_approver")

#: Server → schema → what the user of the run time may do there. The first schema is the connection's own. The user
#: ``<server>_schema`` owns the same schemas; only points_schema uses it. docs/mysql.md says the same in words.
MYSQL_GRANTS = {
    "governance": {
        "rsp_datagovern": "SELECT, INSERT, UPDATE, DELETE, CREATE TEMPORARY TABLES",
        "points_lifecycle": "SELECT, INSERT, UPDATE, DELETE",
        "governance_audit": "SELECT, INSERT",
    },
    **{
        environment: {
            f"cvs_{environment}": "SELECT, UPDATE",
            f"points_backup_{environment}": "SELECT, INSERT, UPDATE, CREATE, DROP",
            f"points_scratch_{environment}": "SELECT, INSERT, CREATE, DROP",
            f"points_journal_{environment}": "SELECT, INSERT, UPDATE",
        }
        for environment in ("intranet", "extranet")
    },
}


def mysql_database(user: str) -> str:
    """Return the schema that a MySQL user's connection starts in."""
    return next(iter(MYSQL_GRANTS[user.removesuffix("_schema")]))


GOOGLE_ENDPOINTS = ("IAM", "RUN", "SCHEDULER", "IAM_CREDENTIALS", "RESOURCE_MANAGER", "LOGGING")


@dataclass(frozen=True)
class Config:
    """One stack on this machine: ``state`` (folder), ``port_base``, and overrides from the environment."""

    state: Path
    port_base: int
    environ: dict[str, str]

    @classmethod
    def from_environment(cls) -> Config:
        """Read STACK_DIR (default ``.local/stack``) and PORT_BASE (default 19000)."""
        state = Path(os.environ.get("STACK_DIR") or REPOSITORY / ".local" / "stack")
        config = cls(
            state=(REPOSITORY / state).resolve(),
            port_base=int(os.environ.get("PORT_BASE", "19000")),
            environ=dict(os.environ),
        )
        try:
            config.auth_manager  # noqa: B018 - said now rather than in the log of every service
        except ValueError as error:
            raise SystemExit(str(error)) from error
        return config

    def port(self, variable: str) -> int:
        return int(self.environ.get(variable, self.port_base + PORT_OFFSETS[variable]))

    def host(self, service: str) -> str:
        """Where ``service`` is reached: loopback here, its container's name in docker-compose."""
        return self.environ.get(f"{service.upper()}_HOST", "127.0.0.1")

    @property
    def bind(self) -> str:
        """The address that services bind: loopback unless a container sets BIND_HOST."""
        return self.environ.get("BIND_HOST", "127.0.0.1")

    def directory(self, *parts: str) -> Path:
        path = self.state.joinpath(*parts)
        path.mkdir(parents=True, exist_ok=True)
        return path

    def secret(self, name: str, length: int = 24) -> str:
        """Return the secret ``name``, made once and kept readable for the owner only."""
        path = self.directory("secrets") / name
        while not path.exists():
            draft = path.with_name(f".{name}.{os.getpid()}")
            draft.touch(mode=0o600)
            draft.write_text(secrets.token_urlsafe(length))
            try:
                os.link(draft, path)  # the first writer wins, also between processes
            except FileExistsError:
                continue
            finally:
                draft.unlink()
        return path.read_text()

    def fernet_key(self) -> str:
        """A Fernet key is 32 bytes in padded URL-safe base64: 43 characters and ``=``."""
        return f"{self.secret('fernet_key', 32)}="

    def heartbeat_check(self) -> str:
        """Return the UUID of the check that the external watcher has for this stack."""
        return str(uuid.uuid5(uuid.NAMESPACE_URL, self.secret("heartbeat")))

    # --- addresses --------------------------------------------------------------------------------
    def url(self, service: str, port_variable: str) -> str:
        return f"http://{self.host(service)}:{self.port(port_variable)}"

    @property
    def airflow_url(self) -> str:
        return self.url("airflow", "AIRFLOW_PORT")

    def metadata_url(self, driver: str = "postgresql") -> str:
        """Return the address of Airflow's metadata database, with its password."""
        place = f"{self.host('postgres')}:{self.port('POSTGRES_PORT')}"
        return f"{driver}://airflow:{self.secret('postgres')}@{place}/airflow"

    @property
    def auth_manager(self) -> str:
        """``simple`` or ``fab``, from AUTH_MANAGER.

        :raises ValueError: when it is another word.
        """
        name = self.environ.get("AUTH_MANAGER") or "simple"
        if name not in AUTH_MANAGERS:
            raise ValueError(f"AUTH_MANAGER is {name!r}; the embedded stack has {' and '.join(AUTH_MANAGERS)}")
        return name

    @property
    def user_ids_file(self) -> Path:
        """Where the users' ids are kept that FAB gave them (local/fab_users.py)."""
        return self.directory("airflow") / "fab_user_ids.json"

    def approvers(self) -> str:
        """Return ``DRAWSGUARD_APPROVERS``: each approver with the id that this auth manager gives."""
        ids = {name: name for name in APPROVERS}
        if self.auth_manager == "fab":
            ids = json.loads(self.user_ids_file.read_text()) if self.user_ids_file.exists() else {}
        return ",".join(f"{name}={ids[name]}" if name in ids else name for name in APPROVERS)

    def passwords(self) -> dict[str, str]:
        """Return the password of each Airflow user (written for the auth manager by :meth:`write_passwords`)."""
        return {user: self.secret(f"airflow_{user}", 9) for user in USERS}

    def write_passwords(self) -> Path:
        path = self.directory("airflow") / "simple_auth_manager_passwords.json"
        path.touch(mode=0o600)
        path.write_text(json.dumps(self.passwords()))
        return path

    # --- what Airflow and its tasks read ----------------------------------------------------------
    def connections(self) -> dict[str, str]:
        """Return ``AIRFLOW_CONN_*``: in production the same ids point to the real engines."""

        def mysql(user: str) -> str:
            return json.dumps(
                {
                    "conn_type": "mysql",
                    "host": self.host("mysql"),
                    "port": self.port("MYSQL_PORT"),
                    "login": user,
                    "password": self.secret(f"mysql_{user}"),
                    "schema": mysql_database(user),
                    "extra": {"charset": "utf8mb4", "local_infile": True},
                }
            )

        mail = f"mailto://{self.host('smtp')}:{self.port('SMTP_PORT')}/?from=airflow@example.com&mode=insecure"
        channels = [
            {"path": f"json://{self.host('alert_sink')}:{self.port('ALERT_SINK_PORT')}/", "tag": "chat"},
            *[
                {"path": f"{mail}&to={team}-oncall@example.com", "tag": f"mail,team:{team}"}
                for team in ("draws", "points")
            ],
            {"path": f"{mail}&to=second-oncall@example.com", "tag": "mail,escalation"},
        ]
        google = {"project": self.environ.get("DRAWSGUARD_PROJECT", "wprojectl"), "is_anonymous": True}
        hive = f"root@{self.host('hive')}:{self.port('HIVE_PORT')}/default"
        return {
            "AIRFLOW_CONN_GOOGLE_CLOUD_DEFAULT": json.dumps({"conn_type": "google_cloud_platform", "extra": google}),
            "AIRFLOW_CONN_HIVESERVER2_DEFAULT": (
                f"hiveserver2://{hive}?auth_mechanism=NONE&run_set_variable_statements=false"
            ),
            "AIRFLOW_CONN_MYSQL_DEFAULT": mysql("governance"),
            "AIRFLOW_CONN_MYSQL_POINTS_INTRANET": mysql("intranet"),
            "AIRFLOW_CONN_MYSQL_POINTS_EXTRANET": mysql("extranet"),
            **{f"AIRFLOW_CONN_MYSQL_SCHEMA_{server.upper()}": mysql(f"{server}_schema") for server in MYSQL_GRANTS},
            "AIRFLOW_CONN_SMTP_DEFAULT": json.dumps(
                {
                    "conn_type": "smtp",
                    "host": self.host("smtp"),
                    "port": self.port("SMTP_PORT"),
                    "extra": {"disable_ssl": True, "disable_tls": True, "from_email": "airflow@example.com"},
                }
            ),
            "AIRFLOW_CONN_AIRFLOW_API_DEFAULT": json.dumps(
                {
                    "conn_type": "http",
                    "host": self.host("airflow"),
                    "port": self.port("AIRFLOW_PORT"),
                    "login": "admin",
                    "password": self.passwords()["admin"],
                }
            ),
            "AIRFLOW_CONN_APPRISE_DEFAULT": json.dumps({"conn_type": "apprise", "extra": {"config": channels}}),
            "AIRFLOW_CONN_HEARTBEAT_DEFAULT": json.dumps(
                {
                    "conn_type": "http",
                    "host": self.host("watcher"),
                    "port": self.port("WATCHER_PORT"),
                    "schema": "http",
                    "password": self.heartbeat_check(),
                }
            ),
            "AIRFLOW_CONN_DRAW_FEED_DEFAULT": f"http://{self.host('feed')}:{self.port('FEED_PORT')}",
            "AIRFLOW_CONN_NOS_DEFAULT": f"tcp://{self.host('nos')}:{self.port('NOS_PORT')}",
            "AIRFLOW_CONN_REDIS_DEFAULT": f"{self._redis_url()}/0",
            **self._point_instances(),
        }

    def _redis_url(self) -> str:
        return f"redis://:{quote(self.secret('redis'))}@{self.host('redis')}:{self.port('REDIS_PORT')}"

    def _point_instances(self) -> dict[str, str]:
        """Return a connection for each Redis instance that keeps points: here, a database each of the one server."""
        from drawsguard.points.telemetry.config import cluster_instances

        names = sorted({name for instances in cluster_instances().values() for name in instances})
        return {
            f"AIRFLOW_CONN_{name.replace('-', '_').upper()}": f"{self._redis_url()}/?db={number}"
            for number, name in enumerate(names, 1)
        }

    def _telemetry(self) -> dict[str, str]:
        """Return what sends metrics, traces and lineage to the receiver; nothing without ``TELEMETRY=1``."""
        url = self.url("telemetry", "TELEMETRY_PORT")
        if self.environ.get("TELEMETRY") != "1":
            return {}
        transport = {"type": "http", "url": url, "compression": "gzip"}
        return {
            "AIRFLOW__METRICS__OTEL_ON": "True",
            "AIRFLOW__TRACES__OTEL_ON": "True",
            "OTEL_EXPORTER_OTLP_ENDPOINT": url,
            "OTEL_EXPORTER_OTLP_PROTOCOL": "http/protobuf",
            "OTEL_TRACES_EXPORTER": "otlp_proto_http",  # Airflow's traces know no protocol: plain "otlp" is gRPC
            "OTEL_METRIC_EXPORT_INTERVAL": "5000",
            "OTEL_SERVICE_NAME": "drawsguard",
            "AIRFLOW__OPENLINEAGE__CONFIG_CONN_ID": "openlineage_default",
            "AIRFLOW_CONN_OPENLINEAGE_DEFAULT": json.dumps({"conn_type": "generic", "extra": {"transport": transport}}),
        }

    def airflow_environment(self) -> dict[str, str]:
        """Return every variable that Airflow's processes need, on top of the caller's environment."""
        from drawsguard.access import custom_roles

        home = self.directory("airflow")
        path = [str(REPOSITORY), str(REPOSITORY / "local" / "tour" / "entry"), self.environ.get("PYTHONPATH", "")]
        core = {
            # What only the embedded stack has (local/tour); last, what the caller's own path held.
            "PYTHONPATH": os.pathsep.join(filter(None, path)),
            "AIRFLOW_HOME": str(home),
            "AIRFLOW__CORE__AUTH_MANAGER": AUTH_MANAGERS[self.auth_manager],
            "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
            "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__PARALLELISM": "4",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.airflow_url}/execution/",
            "AIRFLOW__CORE__FERNET_KEY": self.fernet_key(),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS": ",".join(f"{u}:{r}" for u, r in USERS.items()),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "simple_auth_manager_passwords.json"),
            "AIRFLOW__FAB__CUSTOM_ROLES": custom_roles(),
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": self.metadata_url("postgresql+psycopg2"),
            "AIRFLOW__API__BASE_URL": f"http://127.0.0.1:{self.port('AIRFLOW_PORT')}",
            "AIRFLOW__API__SECRET_KEY": self.secret("api_secret_key"),
            "AIRFLOW__API_AUTH__JWT_SECRET": self.secret("jwt_secret", 48),
            "AIRFLOW__SCHEDULER__ENABLE_HEALTH_CHECK": "True",
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_HOST": self.bind,
            "AIRFLOW__SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(self.port("SCHEDULER_HEALTH_PORT")),
            "AIRFLOW__DAG_PROCESSOR__REFRESH_INTERVAL": "30",
            # An edited file is parsed at once anyway; parsing every file twice a minute keeps a core busy.
            "AIRFLOW__DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "900",
            "AIRFLOW__DAG_PROCESSOR__PARSING_PROCESSES": "2",
            # On a small, busy machine the first import of the providers and the first answer take their time.
            "AIRFLOW__CORE__DAGBAG_IMPORT_TIMEOUT": "120",
            "AIRFLOW__WORKERS__EXECUTION_API_TIMEOUT": "30",
            "AIRFLOW__LOGGING__BASE_LOG_FOLDER": str(home / "logs"),
            "BIGQUERY_EMULATOR_HOST": self.url("bigquery", "BIGQUERY_PORT"),
            "PUBSUB_EMULATOR_HOST": f"{self.host('pubsub')}:{self.port('PUBSUB_PORT')}",
            # One local endpoint stands for each of Google's control-plane services.
            **{f"DRAWSGUARD_{name}_URL": self.url("google", "GOOGLE_PORT") for name in GOOGLE_ENDPOINTS},
            "DRAWSGUARD_TOKEN_KEYS_URL": f"{self.url('google', 'GOOGLE_PORT')}/oauth2/v3/certs",
            "DRAWSGUARD_IDENTITY_PROPAGATION_SECONDS": "10",
            "DRAWSGUARD_UI_BASE_URL": f"http://127.0.0.1:{self.port('AIRFLOW_PORT')}",
            "DRAWSGUARD_APPROVERS": self.approvers(),
            # Both environments are schemas of one server here.
            **{
                f"DRAWSGUARD_{environment}_{kind}_SCHEMA".upper(): f"points_{kind}_{environment}"
                for environment in ("intranet", "extranet")
                for kind in ("backup", "scratch", "journal")
            },
            "DRAWSGUARD_POINTS_FEED_ROOT": str(self.state / "cma" / "feed"),
            # The supervisor's log files are read by people: plain text, no colours.
            "NO_COLOR": "1",
        }
        defaults = core | self.connections() | self._telemetry()
        # A variable that is already set wins: docker-compose sets the metadata database and the executor.
        return {name: self.environ.get(name, value) for name, value in defaults.items()} | {
            "PYTHONPATH": core["PYTHONPATH"]
        }
