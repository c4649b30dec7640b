"""Cuts the history that a person asked for into pieces that are read one by one."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException

from drawsguard.draws.window import InvalidRangeError, requested_range

#: One piece: about 12,000 draws, a dozen pages and two statements.
PIECE = timedelta(days=30)


class DrawHistoryPlanOperator(BaseOperator):
    """Return the pieces of the run's range (``from``, ``to``), oldest first, each ``{"from", "to"}`` in ISO 8601."""

    template_fields: Sequence[str] = ()

    def execute(self, context: Any) -> list[dict[str, str]]:
        """Return the pieces.

        :raises AirflowFailException: when the range is none; nothing was read.
        """
        try:
            window = requested_range(context["params"].get("from"), context["params"].get("to"))
        except InvalidRangeError as error:
            raise AirflowFailException(str(error)) from error
        if window is None:
            raise AirflowFailException(
                "Which history? Give 'from' and 'to', such as 2025-10-03T09:00:00+08:00. Nothing was run."
            )
        return [{"from": piece.start.isoformat(), "to": piece.end.isoformat()} for piece in window.pieces(PIECE)]
