"""A failure means that `pc28.draws_14w` falls behind; the draws themselves are not affected, the next run catches up.

**Who runs it**: the schedule, every ten minutes, and each sync that has written draws; people, to recompute a range
(`from`, `to`), for example after a definition was changed. **When it fails**: the log names the statement, or the
issues that are not right and why; all others are written, and the next run tries those again by itself.

The features are defined in `drawsguard.draws.features.definitions` and described in docs/features.md. A refresh
compares counts and fingerprints of all draws and all features by the hour. It finds the draws whose row is missing,
doubled or computed from other values, and rows whose draw is gone, however old they are and whoever wrote them; it
recomputes those and the draws that read them.
"""

from __future__ import annotations

from airflow.sdk import DAG, Asset, AssetOrTimeSchedule, CronTriggerTimetable, Param

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

settings = get_settings()

with DAG(
    dag_id="feature_refresh",
    description="Recompute the features that new, late and corrected draws touch",
    doc_md=__doc__,
    schedule=AssetOrTimeSchedule(
        timetable=CronTriggerTimetable("*/10 * * * *", timezone=settings.business_timezone),
        assets=[Asset("pc28.draws")],
    ),
    catchup=False,
    max_active_runs=1,
    tags=["tier:1", "draws", "features"],
    default_args=task_defaults(settings.draws_owner),
    params={
        "from": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="重算范围的起点（含，须带时区），与 to 同时填写。"
            "Start of the range to recompute (inclusive, with time zone); give it together with 'to'.",
        ),
        "to": Param(
            None,
            type=["null", "string"],
            format="date-time",
            description="重算范围的终点（不含，须带时区）。End of the range to recompute (exclusive, with time zone).",
        ),
    },
):
    FeatureRefreshOperator(task_id="refresh", pool="draws_features", outlets=[Asset("pc28.draws_14w")])
