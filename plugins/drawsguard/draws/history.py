"""Moving draws from an unpartitioned legacy table into a partitioned one, month by month, and switching the names.

The legacy table keeps its name ``draws`` until the cut-over, so writer and readers go on with it; then the names are
switched, and both move together without a change of theirs. The old table stays as ``draws_unpartitioned``.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from google.api_core.exceptions import NotFound

from drawsguard.draws.statements import Statements
from drawsguard.draws.sync import EARLIEST
from drawsguard.draws.window import Window
from drawsguard.settings import get_settings
from drawsguard.sql import Typed

Side = Literal["source", "target"]

#: The column that tells when a row was written, by side.
STAMP = {"source": "ingested_at", "target": "synced_at"}

LEGACY, PARTITIONED, RETIRED = "draws", "draws_partitioned", "draws_unpartitioned"


class MigrationDiffersError(RuntimeError):
    """A month of the partitioned table does not hold what the legacy table holds."""


def month_window(month: str) -> Window:
    """Return the UTC month ``YYYY-MM`` as a window.

    :raises ValueError: when it is no month.
    """
    start = datetime.strptime(month, "%Y-%m").replace(tzinfo=UTC)
    following = start.replace(year=start.year + start.month // 12, month=start.month % 12 + 1)
    return Window(start, following)


@dataclass(frozen=True)
class HistoryMigration:
    """The migration of one side.

    :param side: whose ``draws`` is migrated.
    :param clock: returns the present time.
    """

    statements: Statements
    side: Side
    run_id: str
    clock: Callable[[], datetime]

    @property
    def _dataset(self) -> str:
        return getattr(get_settings(), f"{self.side}_dataset")

    def _names(self, **names: str) -> dict[str, Any]:
        return {"dataset": self._dataset, **names}

    def exists(self, table: str) -> bool:
        """Tell whether the side has the table."""
        try:
            self.statements.run("migration/probe.sql", self._names(table=table), nowhere=EARLIEST)
        except NotFound:
            return False
        return True

    def is_done(self) -> bool:
        """Tell whether the names were switched already."""
        return self.exists(LEGACY) and self.exists(RETIRED) and not self.exists(PARTITIONED)

    def prepare(self) -> list[str]:
        """Create the partitioned table and return the months to copy; none when the migration is done."""
        if self.is_done():
            return []
        self.statements.run("migration/create_partitioned.sql", self._names(stamp=STAMP[self.side]))
        table = LEGACY if self.exists(LEGACY) else RETIRED
        return [
            row["month"]
            for row in self.statements.rows("migration/months.sql", self._names(table=table), earliest=EARLIEST)
        ]

    def copy(self, month: str) -> dict[str, Any]:
        """Copy one month, compare both sides, record and return the figures.

        :raises MigrationDiffersError: when both sides differ afterwards.
        """
        window = month_window(month)
        bounds = {"month_start": window.start, "month_end": window.end}
        copied = self.statements.affected("migration/copy_month.sql", self._names(stamp=STAMP[self.side]), **bounds)
        (figures,) = self.statements.rows("migration/compare_month.sql", self._names(), **bounds)
        self._log(month, figures, copied)
        if (figures["legacy_versions"], figures["legacy_digest"]) != (
            figures["migrated_versions"],
            figures["migrated_digest"],
        ):
            raise MigrationDiffersError(
                f"{self._dataset}.{PARTITIONED} differs from {LEGACY} in {month}: {figures['legacy_versions']} valid "
                f"versions expected, {figures['migrated_versions']} found. Clear the task of this month to copy it "
                "again; when it differs still, somebody else writes to the new table."
            )
        return {"month": month, "copied": copied, **figures}

    def cut_over(self) -> list[dict[str, Any]]:
        """Copy what arrived meanwhile, compare every month, and switch the names. Repeatable at any point.

        The caller keeps the writer of the table away meanwhile.

        :returns: the figures of the months; empty when the names were switched before.
        :raises MigrationDiffersError: when a month differs; the names are left as they are.
        """
        if self.is_done():
            self._renew_statistics()
            return []
        figures = []
        if self.exists(LEGACY):
            figures = [self.copy(month) for month in self.prepare()]
            self.statements.run("migration/rename.sql", self._names(table=LEGACY, new_name=RETIRED))
        # From here on a repetition finds no table of the old name and only does this step.
        self.statements.run("migration/rename.sql", self._names(table=PARTITIONED, new_name=LEGACY))
        self._renew_statistics()
        self._log("cut_over", {}, None)
        return figures

    def _renew_statistics(self) -> None:
        """Make the materialized view anew: it follows the table that it was made on, not the name."""
        if self.side == "target":
            self.statements.run("schema/R__150_draws_hourly_mv.sql")

    def _log(self, month: str, figures: dict[str, Any], copied: int | None) -> None:
        counts = {name: Typed("INT64", figures.get(name)) for name in ("legacy_versions", "migrated_versions")}
        self.statements.run(
            "migration/log.sql",
            None,
            dataset=self._dataset,
            month=month,
            **counts,
            invalid_rows=Typed("INT64", figures.get("invalid_rows")),
            copied_rows=Typed("INT64", copied),
            run_id=self.run_id,
            logged_at=self.clock(),
        )
