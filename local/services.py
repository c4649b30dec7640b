"""The services of the embedded stack: the one place where a service is added.

``python -m local.run NAME`` prepares and becomes the service; the supervisor and docker-compose both call that.
"""

from __future__ import annotations

import json
import logging
import os
import shutil
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from local.config import MYSQL_GRANTS, REPOSITORY, Config

Command = Callable[[Config], list[str]]


@dataclass(frozen=True)
class Service:
    """One process of the stack.

    ``command`` is what the process becomes, ``prepare`` runs before it, ``probe`` raises until it is ready.
    ``ports`` are the variables of the ports it binds; ``timeout`` is how long it may take to be ready (seconds);
    ``stop_signal`` asks it to end.
    """

    name: str
    purpose: str
    command: Command
    ports: tuple[str, ...]
    probe: Callable[[Config], object]
    prepare: Callable[[Config], object] = lambda _config: None
    environment: Callable[[Config], dict[str, str]] = lambda _config: {}
    after: tuple[str, ...] = ()
    timeout: int = 120
    stop_signal: str = "TERM"


# --- probes -----------------------------------------------------------------------------------------
def answers_http(host: str, port: str, path: str) -> Callable[[Config], object]:
    def probe(config: Config) -> None:
        address = f"{config.url(host, port)}{path}"
        with urllib.request.urlopen(address, timeout=3) as answer:  # noqa: S310 - http on loopback
            answer.read()

    return probe


def accepts(host: str, port: str) -> Callable[[Config], object]:
    def probe(config: Config) -> None:
        socket.create_connection((config.host(host), config.port(port)), timeout=3).close()

    return probe


def _hive_answers(config: Config) -> None:
    from pyhive import hive

    logging.getLogger("thrift").setLevel(logging.CRITICAL)  # "not yet" is no error here
    connection = hive.connect(config.host("hive"), config.port("HIVE_PORT"), auth="NONE", username="root")
    try:
        cursor = connection.cursor()
        cursor.execute("SELECT 1")
        cursor.fetchall()
    finally:
        connection.close()


def _mysql_answers(config: Config) -> None:
    import MySQLdb

    MySQLdb.connect(
        host=config.host("mysql"),
        port=config.port("MYSQL_PORT"),
        user="governance",
        password=config.secret("mysql_governance"),
        connect_timeout=3,
    ).close()


def _redis_answers(config: Config) -> None:
    """Redis takes connections before it has read its files, and may end over them."""
    import redis

    with redis.Redis(
        host=config.host("redis"),
        port=config.port("REDIS_PORT"),
        password=config.secret("redis"),
        socket_timeout=3,
    ) as client:
        client.ping()


# --- BigQuery ---------------------------------------------------------------------------------------
_BIGQUERY_ENVIRONMENT = REPOSITORY / ".local" / "venv" / "bigquery"


def _prepare_bigquery(config: Config) -> None:
    # DuckDB would download the extension; the wheel carries it and this copies it into place (repeatable).
    code = "import duckdb_extensions; duckdb_extensions.import_extension('spatial')"
    subprocess.run([_BIGQUERY_ENVIRONMENT / "bin" / "python", "-c", code], check=True)
    config.directory("bigquery")


def _bigquery(config: Config) -> list[str]:
    return [
        str(_BIGQUERY_ENVIRONMENT / "bin" / "python"),
        "-P",
        str(REPOSITORY / "local" / "bigquery" / "emulator.py"),
        "start",
        "--persistent",
        f"--data-dir={config.state / 'bigquery'}",
        f"--project={config.environ.get('DRAWSGUARD_PROJECT', 'wprojectl')}",
        f"--rest-host={config.bind}",
        f"--rest-port={config.port('BIGQUERY_PORT')}",
        f"--grpc-host={config.bind}",
        f"--grpc-port={config.port('BIGQUERY_GRPC_PORT')}",
        "--log-level=warning",
    ]


# --- HiveServer2 ------------------------------------------------------------------------------------
def java_home(program: str = "java") -> str | None:
    """Return the folder of a Java 17 or newer, from JAVA_HOME or the usual places; None when there is none.

    :param program: what it has to have: ``javac`` is part of a JDK only.
    """
    candidates = [os.environ.get("JAVA_HOME", ""), *sorted(map(str, Path("/usr/lib/jvm").glob("java-*17*")))]
    candidates += [str(Path(found).resolve().parents[1]) for found in [shutil.which(program)] if found]
    return next((home for home in candidates if home and Path(home, "bin", program).exists()), None)


def spark_home() -> Path:
    """Return the folder of the PySpark that the Hive environment has."""
    return next((REPOSITORY / ".local" / "venv" / "hive" / "lib").glob("python3*/site-packages/pyspark"))


def _hive(config: Config) -> list[str]:
    state = config.directory("hive")
    settings = {
        "spark.sql.catalogImplementation": "hive",
        "spark.sql.warehouse.dir": f"{state}/warehouse",
        "spark.hadoop.javax.jdo.option.ConnectionURL": f"jdbc:derby:;databaseName={state}/metastore;create=true",
        "spark.hadoop.hive.exec.scratchdir": f"{state}/scratch",
        "spark.local.dir": f"{state}/local",
        "spark.sql.shuffle.partitions": "4",
        "spark.sql.sources.partitionOverwriteMode": "DYNAMIC",
        "spark.driver.bindAddress": config.bind,
        "spark.driver.host": config.host("hive"),
        "spark.ui.enabled": "false",
        "spark.driver.extraJavaOptions": f"-Dderby.system.home={state} -Dderby.stream.error.file={state}/derby.log "
        f"-Djava.io.tmpdir={config.directory('tmp', 'hive')}",
    }
    return [
        str(spark_home() / "bin" / "spark-submit"),
        "--class=org.apache.spark.sql.hive.thriftserver.HiveThriftServer2",
        "--master=local[2]",
        "--driver-memory=2g",
        *[f"--conf={name}={value}" for name, value in settings.items()],
        "spark-internal",
        "--hiveconf",
        f"hive.server2.thrift.port={config.port('HIVE_PORT')}",
        "--hiveconf",
        f"hive.server2.thrift.bind.host={config.bind}",
    ]


def _hive_environment(_config: Config) -> dict[str, str]:
    return {"SPARK_HOME": str(spark_home()), "JAVA_HOME": java_home() or "", "SPARK_LOCAL_IP": "127.0.0.1"}


# --- MySQL ------------------------------------------------------------------------------------------
#: What we need beyond MySQL's defaults, here and in docker-compose.yaml (docs/mysql.md).
MYSQL_OPTIONS = ("--local-infile=1", "--skip-name-resolve", "--default-time-zone=+00:00")
#: MySQL 8.4's own.
MYSQL_SQL_MODE = (
    "ONLY_FULL_GROUP_BY,STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,"
    "NO_ENGINE_SUBSTITUTION"
)
#: Where MariaDB 10.11 has other defaults than MySQL 8.4 and can be given MySQL's; docs/mysql.md lists what it cannot.
AS_MYSQL = (
    f"--sql-mode={MYSQL_SQL_MODE}",
    "--explicit-defaults-for-timestamp=1",
    "--character-set-server=utf8mb4",
    # As utf8mb4_0900_ai_ci: neither case nor accents count, a blank at the end does.
    "--collation-server=utf8mb4_uca1400_nopad_ai_ci",
    "--max-allowed-packet=64M",
    "--group-concat-max-len=1024",
    "--innodb-autoinc-lock-mode=2",
)


def mysql_statements(config: Config, take_back: bool = True) -> list[str]:
    """Return the statements that make the schemas and their users; each can be repeated.

    :param take_back: whether what a stack of an earlier version granted is taken back first. The users have no rights
        until they are granted again: not while something uses them.
    """
    statements = []
    for server, grants in MYSQL_GRANTS.items():
        for user in (server, f"{server}_schema"):
            password = config.secret(f"mysql_{user}")
            statements.append(f"CREATE USER IF NOT EXISTS '{user}'@'%' IDENTIFIED BY '{password}'")
            if take_back:
                statements.append(f"REVOKE ALL PRIVILEGES, GRANT OPTION FROM '{user}'@'%'")
        for schema, rights in grants.items():
            statements.append(f"CREATE DATABASE IF NOT EXISTS {schema}")
            statements.append(f"GRANT {rights} ON {schema}.* TO '{server}'@'%'")
            statements.append(f"GRANT ALL ON {schema}.* TO '{server}_schema'@'%'")
    return statements


def _prepare_mysql(config: Config) -> None:
    """Create the data directory once, and the schemas and users at every start (repeatable)."""
    data = config.directory("mysql") / "data"
    if not (data / "mysql").is_dir():
        shutil.rmtree(data, ignore_errors=True)  # left incomplete by an interrupted first start
        install = ["mariadb-install-db", "--no-defaults", f"--datadir={data}", "--skip-test-db"]
        subprocess.run([*install, *_mysql_user()], check=True, stdout=subprocess.DEVNULL)
    script = config.state / "mysql" / "init.sql"
    script.touch(mode=0o600)
    script.write_text("".join(f"{statement};\n" for statement in mysql_statements(config)))


def _mysql_user() -> list[str]:
    return ["--user=root"] if os.geteuid() == 0 else []


def _mysql(config: Config) -> list[str]:
    state = config.state / "mysql"
    return [
        shutil.which("mariadbd", path=f"{os.environ['PATH']}:/usr/sbin") or "mariadbd",
        "--no-defaults",
        *_mysql_user(),
        f"--datadir={state / 'data'}",
        f"--socket={state / 'mysqld.sock'}",
        f"--pid-file={state / 'mysqld.pid'}",
        f"--port={config.port('MYSQL_PORT')}",
        f"--bind-address={config.bind}",
        f"--init-file={state / 'init.sql'}",
        *MYSQL_OPTIONS,
        *AS_MYSQL,
        # A power cut may lose what was written, the end of the server cannot: the system has it in its cache.
        "--debug-no-sync",
    ]


# --- PostgreSQL: Airflow's metadata -----------------------------------------------------------------
def _postgres_binary(name: str) -> str:
    """Return the path of one of PostgreSQL's programs; Debian keeps each version in a separate folder."""
    folders = sorted(Path("/usr/lib/postgresql").glob("*/bin"), key=lambda path: int(path.parent.name))
    return shutil.which(name, path=os.pathsep.join([*map(str, reversed(folders)), os.environ["PATH"]])) or name


def _as_postgres() -> list[str]:
    """Return the prefix for PostgreSQL's programs: they refuse to run as root.

    The capability lets the user ``postgres`` reach a state folder below root's home.
    """
    if os.geteuid() != 0:
        return []
    user = ["--reuid=postgres", "--regid=postgres", "--clear-groups"]
    return ["setpriv", *user, "--inh-caps=+dac_override", "--ambient-caps=+dac_override"]


def _prepare_postgres(config: Config) -> None:
    """Make the data directory and the database ``airflow`` once."""
    data, draft = (config.directory("postgres") / name for name in ("data", "draft"))
    if data.is_dir():
        return
    shutil.rmtree(draft, ignore_errors=True)  # left incomplete by an interrupted first start
    draft.mkdir(mode=0o700)
    if os.geteuid() == 0:
        shutil.chown(draft, "postgres", "postgres")
    config.secret("postgres")
    password = f"--pwfile={config.state / 'secrets' / 'postgres'}"
    options = ["--username=airflow", password, "--auth=scram-sha-256", "--encoding=UTF8", "--locale=C"]
    initdb = [*_as_postgres(), _postgres_binary("initdb"), f"--pgdata={draft}", *options]
    subprocess.run(initdb, check=True, stdout=subprocess.DEVNULL)
    single = [*_as_postgres(), _postgres_binary("postgres"), "--single", "-D", str(draft), "postgres"]
    subprocess.run(single, check=True, input=b"CREATE DATABASE airflow", stdout=subprocess.DEVNULL)
    draft.rename(data)


def _postgres(config: Config) -> list[str]:
    settings = {
        "port": str(config.port("POSTGRES_PORT")),
        "listen_addresses": config.bind,
        "unix_socket_directories": "",
        # A power cut may lose the last half second of task states, never the database.
        "synchronous_commit": "off",
    }
    options = [f"--{name}={value}" for name, value in settings.items()]
    return [*_as_postgres(), _postgres_binary("postgres"), "-D", str(config.state / "postgres" / "data"), *options]


def _postgres_answers(config: Config) -> None:
    import psycopg2

    psycopg2.connect(config.metadata_url(), connect_timeout=3).close()


# --- our own endpoints ------------------------------------------------------------------------------
def _module(module: str, service: str, *options: Callable[[Config], str]) -> Command:
    """A server of ours: ``python -m <module> --host … --port … --state …``."""

    def command(config: Config) -> list[str]:
        port = config.port(f"{service.upper()}_PORT")
        place = [f"--host={config.bind}", f"--port={port}", f"--state={config.directory(service)}"]
        return [sys.executable, "-m", module, *place, *[option(config) for option in options]]

    return command


def _smtp(config: Config) -> list[str]:
    place = [f"--host={config.bind}", f"--port={config.port('SMTP_PORT')}"]
    return [sys.executable, "-m", "local.smtp.server", *place, f"--maildir={config.directory('smtp') / 'maildir'}"]


def _redis(config: Config) -> list[str]:
    settings = {
        "port": str(config.port("REDIS_PORT")),
        "bind": config.bind,
        "dir": str(config.directory("redis")),
        "requirepass": config.secret("redis"),
        "appendonly": "yes",
    }
    return ["redis-server", *[word for name, value in settings.items() for word in (f"--{name}", value)]]


# --- Airflow ----------------------------------------------------------------------------------------
def _airflow(*arguments: str) -> Command:
    return lambda _config: [str(Path(sys.executable).with_name("airflow")), *arguments]


def _api_server(config: Config) -> list[str]:
    options = ["--host", config.bind, "--port", str(config.port("AIRFLOW_PORT")), "--workers", "1"]
    return _airflow("api-server", *options)(config)


def _initialised(config: Config) -> None:
    if not (config.state / "airflow" / "initialised").exists():
        raise RuntimeError("the metadata database is being prepared")


def initialise_airflow(config: Config) -> None:
    """Migrate the metadata database, make the users with their passwords and load the pools; repeatable."""
    environment = config.environ | config.airflow_environment()
    config.write_passwords()
    subprocess.run([sys.executable, "-m", "local.initialise"], check=True, env=environment, cwd=REPOSITORY)


AIRFLOW_PROCESSES = ("airflow-scheduler", "airflow-dag-processor", "airflow-triggerer", "airflow-api-server")


def _runs(kind: str) -> Callable[[Config], object]:
    """Probe an Airflow job through the API server's health page, which reads the jobs' heartbeats."""

    def probe(config: Config) -> None:
        with urllib.request.urlopen(f"{config.airflow_url}/api/v2/monitor/health", timeout=5) as answer:  # noqa: S310
            health = json.load(answer)
        if health[kind]["status"] != "healthy":
            raise RuntimeError(f"{kind} is {health[kind]['status']}")

    return probe


SERVICES = (
    Service(
        "bigquery",
        "BigQuery emulator",
        _bigquery,
        ("BIGQUERY_PORT", "BIGQUERY_GRPC_PORT"),
        answers_http("bigquery", "BIGQUERY_PORT", "/healthz"),
        prepare=_prepare_bigquery,
    ),
    Service(
        "hive",
        "HiveServer2 (Spark Thrift Server)",
        _hive,
        ("HIVE_PORT",),
        _hive_answers,
        environment=_hive_environment,
        timeout=300,
    ),
    Service("mysql", "MySQL (MariaDB)", _mysql, ("MYSQL_PORT",), _mysql_answers, prepare=_prepare_mysql),
    Service(
        "postgres",
        "PostgreSQL (Airflow's metadata)",
        _postgres,
        ("POSTGRES_PORT",),
        _postgres_answers,
        prepare=_prepare_postgres,
        stop_signal="INT",  # PostgreSQL's fast shutdown: does not wait for clients to leave
    ),
    Service("redis", "Redis", _redis, ("REDIS_PORT",), _redis_answers),
    Service("smtp", "SMTP sink", _smtp, ("SMTP_PORT",), accepts("smtp", "SMTP_PORT")),
    Service(
        "feed",
        "PC28 draw feed (simulated)",
        _module(
            "local.feed.server",
            "feed",
            lambda c: f"--live-interval={c.environ.get('FEED_LIVE_INTERVAL', '210')}",
            lambda c: f"--history-days={c.environ.get('FEED_HISTORY_DAYS', '3')}",
        ),
        ("FEED_PORT",),
        answers_http("feed", "FEED_PORT", "/health"),
    ),
    Service(
        "google",
        "Google's control plane (simulated)",
        _module(
            "local.google.server",
            "google",
            lambda c: f"--address={c.url('google', 'GOOGLE_PORT')}",
            lambda c: f"--bigquery={c.url('bigquery', 'BIGQUERY_PORT')}",
        ),
        ("GOOGLE_PORT",),
        answers_http("google", "GOOGLE_PORT", "/health"),
    ),
    Service(
        "alert_sink",
        "Alert sink",
        _module("local.alerts.server", "alert_sink"),
        ("ALERT_SINK_PORT",),
        answers_http("alert_sink", "ALERT_SINK_PORT", "/health"),
    ),
    Service(
        "watcher",
        "External watcher of Airflow (healthchecks.io's protocol)",
        _module(
            "local.watcher.server",
            "watcher",
            lambda c: f"--check={c.heartbeat_check()}",
            lambda c: f"--smtp={c.host('smtp')}:{c.port('SMTP_PORT')}",
            lambda c: f"--period={c.environ.get('WATCHER_PERIOD', '60')}",
            lambda c: f"--grace={c.environ.get('WATCHER_GRACE', '120')}",
        ),
        ("WATCHER_PORT",),
        answers_http("watcher", "WATCHER_PORT", "/health"),
    ),
    Service(
        "telemetry",
        "Receiver of OpenTelemetry and OpenLineage",
        _module("local.telemetry.server", "telemetry"),
        ("TELEMETRY_PORT",),
        answers_http("telemetry", "TELEMETRY_PORT", "/health"),
    ),
    Service("nos", "NOS (simulated)", _module("local.nos.server", "nos"), ("NOS_PORT",), accepts("nos", "NOS_PORT")),
    Service(
        "pubsub",
        "Pub/Sub",
        _module("local.pubsub.server", "pubsub", lambda c: f"--health-port={c.port('PUBSUB_HEALTH_PORT')}"),
        ("PUBSUB_PORT", "PUBSUB_HEALTH_PORT"),
        answers_http("pubsub", "PUBSUB_HEALTH_PORT", "/health"),
    ),
    Service(
        "airflow-api-server",
        "Airflow UI and API",
        _api_server,
        ("AIRFLOW_PORT",),
        answers_http("airflow", "AIRFLOW_PORT", "/api/v2/monitor/health"),
        prepare=initialise_airflow,
        environment=Config.airflow_environment,
        after=("postgres",),
        timeout=300,
    ),
    Service(
        "airflow-scheduler",
        "Airflow scheduler and task workers",
        _airflow("scheduler"),
        ("SCHEDULER_HEALTH_PORT",),
        _runs("scheduler"),
        environment=Config.airflow_environment,
        after=("airflow-api-server",),
        timeout=300,
    ),
    Service(
        "airflow-dag-processor",
        "Airflow DAG processor",
        _airflow("dag-processor"),
        (),
        _runs("dag_processor"),
        environment=Config.airflow_environment,
        after=("airflow-api-server",),
        timeout=300,
    ),
    Service(
        "airflow-triggerer",
        "Airflow triggerer",
        _airflow("triggerer"),
        (),
        _runs("triggerer"),
        environment=Config.airflow_environment,
        after=("airflow-api-server",),
        timeout=300,
    ),
)


def by_name(name: str) -> Service:
    for service in SERVICES:
        if service.name == name:
            return service
    raise SystemExit(f"there is no service {name!r}; known: {', '.join(s.name for s in SERVICES)}")
