"""Deployment settings: one file for each environment, and variables with the prefix ``DRAWSGUARD_`` above it.

``DRAWSGUARD_ENVIRONMENT`` names a folder of ``include/environments``. Its ``settings.yaml`` holds the fields of
`Settings` that differ there; a file beside it replaces the one of that name in ``include/config``. Secrets are no
settings: they are Airflow connections, from a secrets backend. docs/environments.md says how.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from pydantic import Field, ValidationError, field_validator
from pydantic_settings import (
    BaseSettings,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
    YamlConfigSettingsSource,
)

from drawsguard.artifacts import parse_root
from drawsguard.parts import Part, parse_parts
from drawsguard.zones import locked_zone

#: The repository root: plugins/drawsguard/settings.py is two folders below it.
REPOSITORY = Path(__file__).resolve().parents[2]


def include_folder(plugins: Path) -> Path:
    """Return the folder of statements, templates and configuration: beside ``plugins``, or in it.

    Cloud Composer puts ``dags`` and ``plugins`` on its machines and nothing beside them.
    """
    inside = plugins / "include"
    return inside if inside.is_dir() else plugins.parent / "include"


INCLUDE = include_folder(REPOSITORY / "plugins")
CONFIG = INCLUDE / "config"
ENVIRONMENTS = INCLUDE / "environments"
PREFIX = "DRAWSGUARD_"
#: Chooses the folder of ENVIRONMENTS; without it every setting has its default.
SELECTOR = f"{PREFIX}ENVIRONMENT"

#: Names that Jinja may put into a statement; values are always bound instead.
IDENTIFIER_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,127}$"
#: Names that others gave in MySQL: letters of any script. Statements write them between backticks.
MYSQL_IDENTIFIER = r"[\w$][\w$-]{0,63}"


class SettingsError(ValueError):
    """A setting is wrong or unknown; the message says which, and where it is set."""


def environment_folder(environ: Mapping[str, str] | None = None) -> Path | None:
    """Return the folder of the chosen environment; None when none is chosen.

    :param environ: variables to read; default: this process's own.
    :raises SettingsError: when there is no such environment.
    """
    name = (os.environ if environ is None else environ).get(SELECTOR, "")
    if not name:
        return None
    known = sorted(path.parent.name for path in ENVIRONMENTS.glob("*/settings.yaml"))
    if name not in known:
        raise SettingsError(f"{SELECTOR}={name!r} is no folder of {ENVIRONMENTS}; it has: {', '.join(known)}")
    return ENVIRONMENTS / name


def config_file(name: str) -> Path:
    """Return where a configuration file is read from: the chosen environment's own, or the one for all.

    :param name: e.g. ``checks.yaml``.
    """
    folder = environment_folder()
    own = folder / name if folder else None
    return own if own and own.exists() else CONFIG / name


class Settings(BaseSettings):
    """What a deployment may change. Every field is a key of ``settings.yaml`` and a variable ``DRAWSGUARD_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix=PREFIX, frozen=True, extra="forbid")

    # --- Parts ------------------------------------------------------------------------------------
    absent_parts: str = Field(
        "", description="What this company does not have: cloud_run, legacy_feed, extranet (comma separated)."
    )

    # --- BigQuery ---------------------------------------------------------------------------------
    project: str = Field("wprojectl", pattern=IDENTIFIER_PATTERN, description="Google Cloud project.")
    location: str = Field("us-central1", pattern=IDENTIFIER_PATTERN, description="BigQuery location.")
    source_dataset: str = Field("drawsguard", pattern=IDENTIFIER_PATTERN, description="Collected draws.")
    target_dataset: str = Field("pc28", pattern=IDENTIFIER_PATTERN, description="Business tables.")
    monitor_dataset: str = Field("pc28_monitor", pattern=IDENTIFIER_PATTERN, description="Logs and views.")
    maximum_bytes_billed: int = Field(
        10 * 1024**3, gt=0, description="Upper bound of one job (bytes); a job that would read more is refused."
    )

    bigquery_budget_gib: float = Field(
        1024, gt=0, description="What a month's queries may be billed for (GiB); the first TiB of a month is free."
    )

    # --- Draws ------------------------------------------------------------------------------------
    # The views follow these two from the next run of warehouse_schema on.
    draw_interval_seconds: int = Field(210, gt=0, description="Cadence of the feed (seconds).")
    maintenance_timezone: str = Field("America/Vancouver", description="The feed's maintenance follows it.")
    business_timezone: str = Field("Asia/Shanghai", description="Schedules and days of the business.")
    collect_poll_seconds: int = Field(
        45,
        gt=0,
        description="A run of the collector polls again after this time, or as soon as there is news (seconds).",
    )
    collect_watch_seconds: int = Field(
        5, gt=0, description="How often it looks for news meanwhile; a look writes nothing (seconds)."
    )
    sync_lookback_minutes: int = Field(60, ge=0, description="Overlap of each sync window (minutes).")
    feature_lookback_hours: int = Field(
        48, ge=1, description="Draws this recent are compared at every feature refresh, synced or not (hours)."
    )
    repair_grace_seconds: int = Field(
        300, ge=0, description="A younger draw is still under way, not missing (seconds): one sync interval."
    )
    reconcile_hours: int = Field(48, ge=1, description="Draws whose values the daily reconcile compares (hours).")
    incident_min_draws: int = Field(3, ge=1, description="Missing draws at once that make an incident with a report.")
    dead_letter_max_attempts: int = Field(
        8, ge=1, description="Replays of a failed interval before it is set aside; with doubling waits about ten hours."
    )
    task_retry_seconds: int = Field(
        10, ge=1, description="Wait before the first retry of a failed task; it doubles with each one (seconds)."
    )
    sync_deadline_seconds: int = Field(
        240, gt=0, description="A scheduled sync that has not ended this long after its interval sends a mail."
    )

    # --- Points -----------------------------------------------------------------------------------
    points_window_days: int = Field(180, gt=0, description="Statistics window of the usage evidence (days).")
    points_feed_root: str = Field(
        "/cma_bigdata/tks/NOSEVT", description="Folder of the legacy JSON feed; below it <year>/<month>/<day>."
    )
    intranet_backup_schema: str = Field(
        "points_backup", pattern=IDENTIFIER_PATTERN, description="Backups, on the environment's own server."
    )
    intranet_scratch_schema: str = Field(
        "points_scratch", pattern=IDENTIFIER_PATTERN, description="Backups are restored here once, to prove them."
    )
    extranet_backup_schema: str = Field("points_backup", pattern=IDENTIFIER_PATTERN)
    extranet_scratch_schema: str = Field("points_scratch", pattern=IDENTIFIER_PATTERN)
    intranet_journal_schema: str = Field(
        "points_journal",
        pattern=IDENTIFIER_PATTERN,
        description="Journal of changed rows and schema version, apart from the backups: its tables cannot be dropped.",
    )
    extranet_journal_schema: str = Field("points_journal", pattern=IDENTIFIER_PATTERN)
    points_owner_address: str = Field(
        "{owner}@example.com", description="Mail address of a point's owner (people); {owner} is the name."
    )

    # --- Connections ------------------------------------------------------------------------------
    google_conn_id: str = "google_cloud_default"
    draw_feed_conn_id: str = "draw_feed_default"
    hive_conn_id: str = "hiveserver2_default"
    governance_mysql_conn_id: str = Field("mysql_default", description="rsp_datagovern.")
    approvals_mysql_conn_id: str = Field("mysql_default", description="governance_audit: approvals.")
    intranet_mysql_conn_id: str = "mysql_points_intranet"
    extranet_mysql_conn_id: str = "mysql_points_extranet"
    governance_schema_mysql_conn_id: str = Field(
        "mysql_schema_governance", description="A user with DDL rights on the governance server; points_schema only."
    )
    intranet_schema_mysql_conn_id: str = "mysql_schema_intranet"
    extranet_schema_mysql_conn_id: str = "mysql_schema_extranet"
    smtp_conn_id: str = "smtp_default"
    heartbeat_conn_id: str = Field(
        "heartbeat_default", description="External watcher (healthchecks.io's ping protocol); without it there is none."
    )
    nos_conn_id: str = Field("nos_default", description="NOS service: storage structures of points.")
    airflow_conn_id: str = Field(
        "airflow_api_default",
        description="This Airflow's REST API: a user who may read runs, pools, users and the audit log (preflight, "
        "monitor, deadlines).",
    )

    # --- Identity (OIDC) --------------------------------------------------------------------------
    iam_url: str = "https://iam.googleapis.com"
    run_url: str = "https://run.googleapis.com"
    scheduler_url: str = "https://cloudscheduler.googleapis.com"
    iam_credentials_url: str = "https://iamcredentials.googleapis.com"
    resource_manager_url: str = "https://cloudresourcemanager.googleapis.com"
    logging_url: str = Field(
        "https://logging.googleapis.com", description="Where the monitor looks for errors of the services."
    )
    token_keys_url: str = Field(
        "https://www.googleapis.com/oauth2/v3/certs", description="JSON web keys that sign identity tokens."
    )
    identity_runner: str = Field(
        "airflow-runner", pattern=IDENTIFIER_PATTERN, description="Account id that Airflow itself runs as."
    )
    identity_propagation_seconds: int = Field(
        420, ge=0, description="How long a repair waits for IAM changes to propagate (seconds)."
    )

    # --- People -----------------------------------------------------------------------------------
    approvers: str = Field(
        "approver,second_approver", description="Users who may approve what another user asked for (comma separated)."
    )
    approval_hours: int = Field(
        72, gt=0, description="An approval may not be used longer than this after it was given."
    )
    draws_owner: str = "draws-team"
    points_owner: str = "points-team"
    draws_email: str = Field("draws-oncall@example.com", description="Mails of the draw pipeline (comma separated).")
    points_email: str = Field("points-oncall@example.com", description="Mails of the points lifecycle.")
    mail_from: str = "airflow@example.com"
    mail_subject_prefix: str = Field("[drawsguard]", description="Begins the subject of every mail, for filters.")
    ui_base_url: str = Field("http://localhost:8080", description="Airflow UI address, for links in mails.")

    runbook_base_url: str = Field(
        "https://example.com/drawsguard-airflow/docs/runbooks", description="Where docs/runbooks is published."
    )
    alert_conn_id: str = Field("apprise_default", description="Channels of alerts: Apprise addresses with tags.")

    # --- Artifacts --------------------------------------------------------------------------------
    artifacts_address: str = Field(
        str(REPOSITORY / ".local" / "artifacts"),
        description="Workbooks, reports and audit files: gs://[connection@]bucket[/prefix], s3://…, or a folder that "
        "all workers share.",
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 - pydantic passes it by name
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """A variable wins over the environment's file, so that one value can be tried without a commit."""
        folder = environment_folder()
        files = (YamlConfigSettingsSource(settings_cls, folder / "settings.yaml"),) if folder else ()
        return init_settings, env_settings, *files

    @field_validator("maintenance_timezone")
    @classmethod
    def _locked_zone(cls, value: str) -> str:
        locked_zone(value)
        return value

    @field_validator("business_timezone")
    @classmethod
    def _known_zone(cls, value: str) -> str:
        try:
            ZoneInfo(value)
        except (ZoneInfoNotFoundError, ValueError) as error:
            raise ValueError(f"there is no time zone {value!r}") from error
        return value

    @field_validator("absent_parts")
    @classmethod
    def _known_parts(cls, value: str) -> str:
        parse_parts(value)
        return value

    @property
    def absent(self) -> frozenset[Part]:
        """The parts that are switched off."""
        return parse_parts(self.absent_parts)

    @field_validator("artifacts_address")
    @classmethod
    def _known_store(cls, value: str) -> str:
        parse_root(value)
        return value

    @field_validator("ui_base_url", "runbook_base_url")
    @classmethod
    def _without_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    def artifact(self, name: str) -> str:
        """Return the address of an artifact or of a folder of them, as people read it."""
        return f"{parse_root(self.artifacts_address)}/{name}"

    def table(self, dataset: str, name: str) -> str:
        """Return the quoted full name of a BigQuery table, e.g. ``table("target", "draws")``.

        :param dataset: ``source``, ``target`` or ``monitor``.
        :param name: the table's or view's name.
        """
        return f"`{self.project}.{getattr(self, f'{dataset}_dataset')}.{name}`"


def _unknown_variables() -> list[str]:
    """Return the variables with our prefix that are no setting: a misspelt one would silently have no effect."""
    known = {SELECTOR} | {f"{PREFIX}{name}".upper() for name in Settings.model_fields}
    return sorted(name for name in os.environ if name.upper().startswith(PREFIX) and name.upper() not in known)


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process, read once.

    :raises SettingsError: naming each setting that is wrong or unknown.
    """
    if unknown := _unknown_variables():
        raise SettingsError(f"unknown settings, see plugins/drawsguard/settings.py: {', '.join(unknown)}")
    folder = environment_folder()
    try:
        return Settings()
    except ValidationError as error:
        where = f" or {folder / 'settings.yaml'}" if folder else ""
        wrong = "; ".join(
            f"{PREFIX}{'.'.join(map(str, one['loc'])).upper()}: {one['msg']} (is {one['input']!r})"
            for one in error.errors()
        )
        raise SettingsError(f"wrong settings in the environment{where}: {wrong}") from error
