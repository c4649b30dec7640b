"""Set up the topic and the subscription of failed sync intervals."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from hooks.dead_letter_hook import DeadLetterQueue


class DeadLetterTopicOperator(BaseOperator):
    """Create topic and subscription where they are missing; with the run's param ``dry_run`` nothing is done."""

    template_fields: Sequence[str] = ()

    def execute(self, context: Any) -> None:
        if context["params"].get("dry_run"):
            raise AirflowSkipException("Dry run: topic and subscription are left as they are.")
        DeadLetterQueue().set_up()
