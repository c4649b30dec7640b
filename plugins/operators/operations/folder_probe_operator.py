"""Write where all workers look for artifacts, on whichever worker this task runs."""

from __future__ import annotations

import socket
from typing import Any

from airflow.sdk import BaseOperator, Context

from hooks.artifacts_probe import probe


class FolderProbeOperator(BaseOperator):
    """Leave a small file in the artifacts' folder ``preflight`` and return ``host``, ``token`` and ``error``.

    Mapped, it runs on several workers; the report compares what each wrote with what the last one sees. A folder that
    cannot be written is no failure of this task: the report names the worker and the reason.

    :param number: which of the mapped tasks this is.
    """

    def __init__(self, *, number: int = 0, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.number = number

    def execute(self, context: Context) -> dict[str, str]:
        del context
        return probe(socket.gethostname())
