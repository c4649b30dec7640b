"""docs/metrics.md is generated from the check definitions: ``python -m drawsguard.monitoring.metrics_doc``."""

from __future__ import annotations

from drawsguard.monitoring.checks import Check, load_checks
from drawsguard.settings import REPOSITORY

METRICS_FILE = REPOSITORY / "docs" / "metrics.md"

_HEAD = """# 指标定义 Metric definitions

由 include/config/checks.yaml 生成，请勿手改。Generated from include/config/checks.yaml by
`python -m drawsguard.monitoring.metrics_doc`; do not edit by hand.

| 检查 check | 视图 view | 条件 condition | 级别 | 含义 meaning | 手册 runbook |
|---|---|---|---|---|---|
"""


def _line(check: Check) -> str:
    page = f"[{check.runbook}](runbooks/zh/{check.runbook}.md)"
    meaning = f"{check.message.zh}；{check.message.en}"
    return f"| `{check.name}` | `{check.view}` | `{check.condition}` | {check.priority} | {meaning} | {page} |\n"


def metrics_page() -> str:
    """Return the content of docs/metrics.md."""
    return _HEAD + "".join(_line(check) for check in load_checks().checks)


if __name__ == "__main__":
    METRICS_FILE.write_text(metrics_page(), encoding="utf-8")
