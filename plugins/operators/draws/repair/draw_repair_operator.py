"""Find missing draws and repair exactly those."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.draws.repair.gaps import describe_gaps, find_gaps
from drawsguard.draws.repair.incident import incident_report, is_incident, save_report
from drawsguard.draws.repair.repairer import Repair, Repairer
from drawsguard.draws.window import InvalidRangeError, requested_range
from drawsguard.settings import get_settings
from hooks.asset_memory import DRAWS
from hooks.draw_repairer import draw_repairer
from notifiers.incident import IncidentMail
from notifiers.template_mail import run_url


class DrawRepairOperator(BaseOperator):
    """Repair what is missing from the target: anywhere in history, or between the params ``from`` and ``to``.

    A run that a person started writes nothing unless its param ``dry_run`` is switched off. A repair of several draws
    is reported: the report is kept in ``incident_reports`` and mailed. Fails, after everything else was done and
    recorded, when a part of it could not be: the error names what is left.

    Returns the gaps, and how many draws were repaired, exist nowhere, or stay open.
    """

    template_fields: Sequence[str] = ()

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(inlets=[DRAWS], **kwargs)

    def execute(self, context: Any) -> dict[str, Any]:
        settings = get_settings()
        try:
            asked = requested_range(context["params"].get("from"), context["params"].get("to"))
        except InvalidRangeError as error:
            raise AirflowFailException(str(error)) from error
        by_a_person = str(getattr(context["dag_run"].run_type, "value", context["dag_run"].run_type)) == "manual"
        dry_run = by_a_person and bool(context["params"].get("dry_run", True))

        worker = draw_repairer(self, context)
        started_at = worker.clock()
        settled_before = started_at - timedelta(seconds=settings.repair_grace_seconds)
        waiting: set[int] = set()
        if asked:
            gaps = find_gaps(worker.statements, asked, settled_before)
        else:
            gaps, waiting = worker.search(settled_before)
        found = {"dry_run": dry_run, "gaps": describe_gaps(gaps), "missing": sum(len(gap.periods) for gap in gaps)}
        self.log.info("%s: %s draws are missing: %s", asked or "the whole history", found["missing"], found["gaps"])
        if waiting:
            self.log.info("The feed lacked them too, and is asked again later: %s", sorted(waiting))
        if dry_run or not gaps:
            return found | {"repaired": 0, "nobody_has": [], "open": sorted(waiting)}

        repair = worker.repair(gaps)
        self.log.info("%s draws repaired within %.1f s of detection", len(repair.repaired), repair.seconds)
        if repair.nobody_has:
            self.log.warning("Neither the source nor the feed has the draws %s", repair.nobody_has)
        if is_incident(repair):
            self._report(worker, repair, settled_before, context)
        if failure := repair.failure:
            raise failure
        return found | {
            "repaired": len(repair.repaired),
            "nobody_has": repair.nobody_has,
            "open": sorted({*repair.open, *waiting}),
            "seconds": repair.seconds,
        }

    def _report(self, worker: Repairer, repair: Repair, settled_before: datetime, context: Any) -> None:
        url = run_url(self.dag_id, context["ti"].run_id)
        report, values = incident_report(worker.statements, repair, settled_before, worker.incident_id, url)
        save_report(worker.statements, repair, worker.incident_id, report)
        IncidentMail(values | {"report": report}).notify(context)
