"""The newest preflight report as a page of the UI, at /preflight."""

from __future__ import annotations

from typing import Annotated

from airflow.api_fastapi.common.db.common import SessionDep
from airflow.api_fastapi.core_api.security import get_user
from airflow.models.xcom import XComModel
from airflow.plugins_manager import AirflowPlugin
from fastapi import Depends, FastAPI, HTTPException, Query
from fastapi.responses import HTMLResponse
from sqlalchemy import select

from drawsguard.templates import render_template

DAG_ID, TASK_ID, KEY, TEMPLATE = "preflight", "report", "report", "reports/preflight.html"

app = FastAPI(title="preflight", description="Ready for production, or what is missing.")


@app.get("/", dependencies=[Depends(get_user)])
def newest(session: SessionDep, run_id: Annotated[str | None, Query()] = None) -> HTMLResponse:
    """For users who are signed in: the report of a run, or the newest one."""
    query = select(XComModel).where(XComModel.dag_id == DAG_ID, XComModel.task_id == TASK_ID, XComModel.key == KEY)
    if run_id is not None:
        query = query.where(XComModel.run_id == run_id)
    kept = session.scalars(query.order_by(XComModel.timestamp.desc()).limit(1)).first()
    if kept is None:
        raise HTTPException(404, "没有报告：触发 DAG preflight。No report yet: trigger the DAG preflight.")
    page = render_template(TEMPLATE, **XComModel.deserialize_value(kept))
    # The template escapes every value; should one get through, the browser runs nothing of it.
    return HTMLResponse(page, headers={"Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'"})


class PreflightPlugin(AirflowPlugin):
    """Mounts the page and links it from the navigation."""

    name = "drawsguard_preflight"
    fastapi_apps = [{"app": app, "url_prefix": "/preflight", "name": "drawsguard preflight"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012 - the plugin interface
        {
            "name": "上线检查 Preflight",
            "href": "preflight/",
            "destination": "nav",
            "category": "browse",
            "url_route": "drawsguard-preflight",
        }
    ]
