"""A failure means that something is missing for production: the report names each thing and what to do about it.

**Who runs it**: whoever deploys, before the first unpausing, after an upgrade, and whenever a connection, a grant or a
setting was changed. **When**: by hand, at any time; it changes nothing.

It looks at everything that the connections point to: BigQuery, Pub/Sub, Google's identity APIs, Hive, MySQL, Redis,
NOS, mail, alert channels, pools, approvers, the artifacts' store and zone data. The report is on the page *Preflight*
of the UI, in the log of the task `report`, and mailed to both teams. `docs/preflight.md` explains each check.
"""

from __future__ import annotations

from datetime import timedelta

from airflow.sdk import DAG, Param

from dag_params.text import ONE_LINE
from drawsguard.settings import get_settings
from notifiers.task_defaults import task_defaults
from operators.operations.folder_probe_operator import FolderProbeOperator
from operators.operations.preflight_operator import PreflightOperator

#: Enough small tasks for each worker to get one.
PROBES = 4

with DAG(
    dag_id="preflight",
    description="Ready for production, or what is missing",
    doc_md=__doc__,
    schedule=None,
    max_active_runs=1,
    tags=["tier:3", "operations"],
    # What is missing does not appear by itself within minutes.
    default_args=task_defaults(get_settings().draws_owner, retries=0),
    params={
        "areas": Param(
            [],
            type="array",
            items={"type": "string", "maxLength": 40, "pattern": ONE_LINE},
            description="只查这些部分，空为全部。Only these areas (bigquery, mysql, …); empty means all.",
        ),
        "test_message": Param(
            False,
            type="boolean",
            description="给每个告警通道发一条测试消息。Send a test message to each channel of alerts.",
        ),
    },
    render_template_as_native_obj=True,
):
    probes = FolderProbeOperator.partial(task_id="folder").expand(number=list(range(PROBES)))
    PreflightOperator(
        task_id="report",
        areas="{{ params.areas }}",
        test_message="{{ params.test_message }}",
        folder_probes=probes.output,
        execution_timeout=timedelta(minutes=30),
    )
