"""How a row of the target differs from what the source says."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """One period whose row in the target is wrong: `problem` is missing, duplicate, stale or foreign.

    `expected` and `actual` are version keys (see ``R__010_draw_version.sql``), None where there is no such row.
    """

    period: int
    problem: str
    expected: str | None
    actual: str | None

    @property
    def repairable(self) -> bool:
        """Whether the source has a version that may replace what the target holds. What nobody collected is not ours to
        delete.
        """
        if self.problem == "foreign":
            return self.expected is not None and self.actual is not None and self.expected > self.actual
        return self.expected is not None
