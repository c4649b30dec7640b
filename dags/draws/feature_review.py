"""A failure means that a part of `pc28.draws_14w` was not reviewed today; other parts and the refreshes are unaffected.

**Who runs it**: the schedule, daily at 06:15 Beijing time. **When it fails**: the log names the statement or the
issues; run it again on the same day, or `feature_refresh` with `from` and `to`. The next day has another part.

`feature_refresh` sees which draws have changed. A row that is wrong although its draw has not, because an earlier
release or somebody else wrote it, can only be seen by computing it again. This does it to another 100 days of draws
each day, so that the whole history is reviewed at a cost that does not grow; rows that are right are not touched.
"""

from __future__ import annotations

from airflow.sdk import DAG, Asset, CronTriggerTimetable

from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.draws.features.feature_refresh_operator import FeatureRefreshOperator

settings = get_settings()

with DAG(
    dag_id="feature_review",
    description="Recompute a part of all features each day, and correct what differs",
    doc_md=__doc__,
    schedule=CronTriggerTimetable("15 6 * * *", timezone=settings.business_timezone),
    catchup=False,
    max_active_runs=1,
    tags=["tier:2", "draws", "features"],
    default_args=task_defaults(settings.draws_owner),
):
    FeatureRefreshOperator(task_id="review", review=True, pool="draws_features", outlets=[Asset("pc28.draws_14w")])
