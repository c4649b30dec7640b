"""The params with which a person has a whole window built again, and says why."""

from __future__ import annotations

from airflow.sdk import Param

from dag_params.text import SEVERAL_LINES, text_param


def rebuild_params() -> dict[str, Param]:
    """Return ``rebuild`` and ``reason``; the operator refuses the one without the other."""
    return {
        "rebuild": Param(
            False,
            type="boolean",
            description="重新计算窗口内的每一天（规则变更之后），须填写 reason。"
            "Build every day of the window again (after a rule changed); needs the reason.",
        ),
        "reason": text_param(
            "重新计算的原因，至少 10 个字符，会被记录；不重新计算时留空。"
            "Why everything is built again (10 characters or more), which is recorded; empty without a rebuild.",
            longest=500,
            default="",
            pattern=SEVERAL_LINES,
        ),
    }
