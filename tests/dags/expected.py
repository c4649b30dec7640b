"""Every DAG of the repository, in one place: one that is missing here, or gone, fails the integrity test."""

from __future__ import annotations

#: DAG id → whether it has a service level, and so a deadline.
DAGS: dict[str, bool] = {
    # draws
    "draw_collect": False,
    "draw_history": False,
    "draw_history_migration": False,
    "draw_news": False,
    "draw_reconcile": False,
    "draw_repair": False,
    "draw_sync": True,
    "draw_sync_replay": False,
    "feature_refresh": False,
    "feature_review": False,
    # points
    "points_cleanup": False,
    "points_downline": False,
    "points_hive_aggregation": True,
    "points_hive_daily": False,
    "points_lifetime_report": False,
    "points_observe": False,
    "points_push": True,
    "points_release": False,
    "points_restore": False,
    "points_schema": False,
    "points_ticket_done": False,
    "points_usage_report": False,
    # operations
    "alert_acknowledge": False,
    "alert_digest": False,
    "alert_mute": False,
    "alert_resolve": False,
    "daily_inspection": False,
    "heartbeat": False,
    "monitoring_checks": True,
    "monthly_slo": False,
    "oidc_checks": False,
    "oidc_repair": False,
    "preflight": False,
    "warehouse_schema": False,
    "weekly_audit": False,
}
