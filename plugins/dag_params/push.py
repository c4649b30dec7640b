"""The params of a push: which flows, and why a size outside the limits is right."""

from __future__ import annotations

from collections.abc import Sequence

from airflow.sdk import Param

from dag_params.text import SEVERAL_LINES, text_param


def push_params(flows: Sequence[str]) -> dict[str, Param]:
    """Return the params ``flows`` and ``size_overrule_reason``.

    :param flows: that the scheduled run pushes.
    """
    return {
        "flows": Param(
            list(flows),
            type="array",
            items={"type": "string", "enum": ["window", "daily"]},
            description="推送的数据流：window（180 天窗口）、daily（旧的每日流程）。"
            "Flows to push: window (180 days), daily (the legacy flow).",
        ),
        "size_overrule_reason": text_param(
            "仅在行数超出限制、且已确认无误时填写原因（至少 10 个字符），原因会被记录；其他拒绝无法越过。"
            "Only after a refusal because of the size, when the size is right: the reason (10 characters or more), "
            "which is recorded. No other refusal can be overruled.",
            shortest=10,
            longest=500,
            default=None,
            pattern=SEVERAL_LINES,
        ),
    }
