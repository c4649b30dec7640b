"""Which pages there are, and the DAGs whose read right each takes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from drawsguard.pages.draws_view import DAGS
from drawsguard.pages.look import Words


@dataclass(frozen=True)
class Page:
    """A page: its place, its name, and the DAGs whose read right it takes."""

    path: str
    name: Words
    dags: tuple[str, ...]


#: The DAGs that ask for approvals of points.
POINTS_QUESTIONS = ("points_downline", "points_restore", "points_release", "points_cleanup")

#: What the pages of the points are about.
_POINTS = (*POINTS_QUESTIONS, "points_usage_report")

PAGES = (
    Page("points", Words("积分", "Points"), _POINTS),
    Page("point", Words("积分生平", "A point's life"), _POINTS),
    Page("draws", Words("抽奖", "Draws"), DAGS),
    Page("alerts", Words("告警", "Alerts"), ("monitoring_checks", "alert_acknowledge", "alert_mute", "alert_resolve")),
    Page("identity", Words("身份", "Identity"), ("oidc_checks", "oidc_repair")),
    Page("files", Words("文件", "Files"), (*_POINTS, "points_lifetime_report")),
)
#: The DAGs whose reports the page of files shows to those who may read them, too.
REPORT_DAGS = ("daily_inspection", "weekly_audit", "monthly_slo")
BY_PATH: Mapping[str, Page] = {page.path: page for page in PAGES}
