"""Deployment settings, read from environment variables with the prefix ``DRAWSGUARD_``.

Production and the embedded stack differ in these values and in Airflow connections only.
"""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from pydantic import Field, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

#: The repository root: plugins/drawsguard/settings.py is two folders below it.
REPOSITORY = Path(__file__).resolve().parents[2]

#: Names that Jinja may put into a statement; values are always bound instead.
IDENTIFIER_PATTERN = r"^[A-Za-z_][A-Za-z0-9_-]{0,127}$"


class Settings(BaseSettings):
    """What a deployment may change. Every field is an environment variable ``DRAWSGUARD_<FIELD>``."""

    model_config = SettingsConfigDict(env_prefix="DRAWSGUARD_", frozen=True, extra="ignore")

    # --- BigQuery ---------------------------------------------------------------------------------
    project: str = Field("wprojectl", pattern=IDENTIFIER_PATTERN, description="Google Cloud project.")
    location: str = Field("us-central1", pattern=IDENTIFIER_PATTERN, description="BigQuery location.")
    source_dataset: str = Field("drawsguard", pattern=IDENTIFIER_PATTERN, description="Collected draws.")
    target_dataset: str = Field("pc28", pattern=IDENTIFIER_PATTERN, description="Business tables.")
    monitor_dataset: str = Field("pc28_monitor", pattern=IDENTIFIER_PATTERN, description="Logs and views.")
    maximum_bytes_billed: int = Field(
        10 * 1024**3, gt=0, description="Upper bound of one job (bytes); a job that would read more is refused."
    )

    # --- Draws ------------------------------------------------------------------------------------
    draw_interval_seconds: int = Field(210, gt=0, description="Cadence of the feed (seconds).")
    business_timezone: str = Field("Asia/Shanghai", description="Schedules and days of the business.")
    maintenance_timezone: str = Field("America/Vancouver", description="The feed's maintenance follows it.")
    collect_poll_seconds: int = Field(30, gt=0, description="Pause between two polls of one run (seconds).")
    sync_lookback_minutes: int = Field(60, ge=0, description="Overlap of each sync window (minutes).")
    feature_lookback_hours: int = Field(
        48, ge=1, description="Draws this recent are compared at every feature refresh, synced or not (hours)."
    )
    repair_lookback_days: int = Field(
        7,
        ge=1,
        description="Draws this recent are compared one by one by each draw_repair, older days by count (days).",
    )
    repair_grace_seconds: int = Field(
        300, ge=0, description="A draw younger than this is under way, not missing (seconds): one sync interval."
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
    points_artifact_dir: Path = Field(
        REPOSITORY / ".local" / "points",
        description="Workbooks, reports and audit files of the points lifecycle: a folder that all workers share.",
    )
    points_owner_address: str = Field(
        "{owner}@example.com", description="Mail address of a point's owner (people); {owner} is the name."
    )

    # --- Connections ------------------------------------------------------------------------------
    google_conn_id: str = "google_cloud_default"
    draw_feed_conn_id: str = "draw_feed_default"
    hive_conn_id: str = "hiveserver2_default"
    governance_mysql_conn_id: str = Field("mysql_default", description="rsp_datagovern.")
    intranet_mysql_conn_id: str = "mysql_points_intranet"
    extranet_mysql_conn_id: str = "mysql_points_extranet"
    smtp_conn_id: str = "smtp_default"
    nos_conn_id: str = Field("nos_default", description="NOS service: storage structures of points.")

    # --- Identity (OIDC) --------------------------------------------------------------------------
    iam_url: str = "https://iam.googleapis.com"
    run_url: str = "https://run.googleapis.com"
    scheduler_url: str = "https://cloudscheduler.googleapis.com"
    iam_credentials_url: str = "https://iamcredentials.googleapis.com"
    resource_manager_url: str = "https://cloudresourcemanager.googleapis.com"
    token_keys_url: str = Field(
        "https://www.googleapis.com/oauth2/v3/certs", description="JSON web keys that sign identity tokens."
    )
    identity_runner: str = Field(
        "airflow-runner", pattern=IDENTIFIER_PATTERN, description="Account id that Airflow itself runs as."
    )
    identity_propagation_seconds: int = Field(
        420, ge=0, description="How long a repair waits for IAM changes to reach everywhere."
    )

    # --- People -----------------------------------------------------------------------------------
    approvers: str = Field(
        "approver,second_approver", description="Users who may approve what another user asked for (comma separated)."
    )
    draws_owner: str = "draws-team"
    points_owner: str = "points-team"
    draws_email: str = Field("draws-oncall@example.com", description="Mails of the draw pipeline (comma separated).")
    points_email: str = Field("points-oncall@example.com", description="Mails of the points lifecycle.")
    mail_from: str = "airflow@example.com"
    ui_base_url: str = Field("http://localhost:8080", description="Airflow UI address, for links in mails.")

    runbook_base_url: str = Field(
        "https://example.com/drawsguard-airflow/docs/runbooks", description="Where docs/runbooks is published."
    )
    alert_conn_id: str = Field("apprise_default", description="Channels of alerts: Apprise addresses with tags.")
    report_folder: str = Field(
        ".local/reports", description="Where inspection reports are kept (below the repository)."
    )

    @field_validator("ui_base_url", "runbook_base_url")
    @classmethod
    def _without_trailing_slash(cls, value: str) -> str:
        return value.rstrip("/")

    def table(self, dataset: str, name: str) -> str:
        """Return the quoted full name of a BigQuery table, e.g. ``table("target", "draws")``.

        :param dataset: ``source``, ``target`` or ``monitor``.
        :param name: the table's or view's name.
        """
        return f"`{self.project}.{getattr(self, f'{dataset}_dataset')}.{name}`"


@lru_cache(maxsize=1)
def get_settings() -> Settings:
    """Return the settings of this process (read once from the environment)."""
    return Settings()
