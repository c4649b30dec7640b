"""Moving draws from an unpartitioned legacy table into a partitioned one, month by month, and switching the names.

The legacy table keeps its name ``draws`` until the cut-over, so writer and readers keep using it; then the names are
switched, and both move together without being changed. The old table stays as ``draws_unpartitioned``. Rows that the
partitioned table cannot take are set aside in ``draws_quarantine``, each with its fault.

A legacy ``draws_14w`` belongs to the target's cut-over: it stays as ``draws_14w_unpartitioned``, and
``feature_refresh`` computes its successor from the draws.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from drawsguard.draws.retention import EARLIEST
from drawsguard.draws.window import Window
from drawsguard.warehouse.adoption import (
    FEATURES,
    SOURCE_DRAWS,
    TARGET_DRAWS,
    AdoptedTable,
    Layout,
    awaits_cut_over,
    layout_of,
)
from drawsguard.warehouse.parameters import Typed
from drawsguard.warehouse.runner import StatementRunner

Side = Literal["source", "target"]

#: The tables that a side's cut-over brings into the present layout: its draws, and what is computed from them.
_DRAWS: dict[Side, AdoptedTable] = {"source": SOURCE_DRAWS, "target": TARGET_DRAWS}
_FEATURES: dict[Side, AdoptedTable | None] = {"source": None, "target": FEATURES}

LEGACY, PARTITIONED, RETIRED = "draws", "draws_partitioned", SOURCE_DRAWS.retired_name


class MigrationDiffersError(RuntimeError):
    """A month of the partitioned table does not hold what the legacy table holds."""


def month_window(month: str) -> Window:
    """Return the UTC month ``YYYY-MM`` as a window.

    :raises ValueError: when it is not a month.
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

    statements: StatementRunner
    side: Side
    run_id: str
    clock: Callable[[], datetime]

    @property
    def dataset(self) -> str:
        """The side's dataset."""
        return _DRAWS[self.side].dataset

    def _names(self, **names: str) -> dict[str, Any]:
        return {"dataset": self.dataset, **names}

    def exists(self, table: str) -> bool:
        """Return whether the side has the table."""
        return self._layout(table) is not Layout.MISSING

    def _layout(self, table: str) -> Layout:
        return layout_of(self.statements, _DRAWS[self.side], table)

    def awaits_draws(self) -> bool:
        """Return whether the side's draws are still to be switched, or half switched."""
        return awaits_cut_over(self.statements, _DRAWS[self.side])

    def awaits_features(self) -> bool:
        """Return whether the side has features that are still to be switched, or half switched."""
        features = _FEATURES[self.side]
        return features is not None and awaits_cut_over(self.statements, features)

    def is_done(self) -> bool:
        """Return whether there is nothing to migrate: the names were switched, or the tables were never older."""
        return not self.awaits_draws() and not self.awaits_features()

    def retired_features(self) -> str | None:
        """Return the name that a legacy table of features gets, or has; None when the side has none."""
        features = _FEATURES[self.side]
        if features is None or not (self.awaits_features() or self.exists(features.retired_name)):
            return None
        return features.retired_name

    def prepare(self) -> list[str]:
        """Create the partitioned table, set unusable rows aside, and return the months to copy.

        Returns none when no draws are to be moved.

        :raises MigrationDiffersError: when there is a table ``draws_partitioned`` of another layout.
        """
        if not self.awaits_draws():
            return []
        draws = _DRAWS[self.side]
        self.statements.run("history/create_partitioned.sql", self._names(stamp=draws.stamp))
        if self._layout(PARTITIONED) is not Layout.PRESENT:
            raise MigrationDiffersError(
                f"{self.dataset}.{PARTITIONED} was there before and has another layout. Rename it, or drop it when "
                "nobody needs it; then trigger a new run."
            )
        self._set_aside()
        return self.months()

    def _set_aside(self) -> None:
        table = self.tables()[0]
        self.statements.run(
            "history/set_aside.sql",
            self._names(unpartitioned=table),
            source=f"history {self.dataset}.{LEGACY}",
            seen_at=self.clock(),
        )

    def faults(self) -> dict[str, int]:
        """Return how many legacy rows cannot be taken over, by fault; none when there is no legacy table."""
        table = self.tables()[0]
        if not self.exists(table):
            return {}
        found = self.statements.rows("history/faults.sql", self._names(unpartitioned=table))
        return {row["reason"]: row["row_count"] for row in found}

    def months(self) -> list[str]:
        """Return the months that the legacy table holds, whatever its name is now; none when there is no such table."""
        table = self.tables()[0]
        if not self.exists(table):
            return []
        found = self.statements.rows("history/months.sql", self._names(table=table), earliest=EARLIEST)
        return [row["month"] for row in found]

    def tables(self) -> tuple[str, str]:
        """Return the names that the legacy and the partitioned table have now."""
        if not self.awaits_draws():
            return RETIRED, LEGACY
        return LEGACY if self.exists(LEGACY) else RETIRED, PARTITIONED

    def compare(self, month: str) -> dict[str, Any]:
        """Return the figures of a month on both sides; reads only."""
        window, (legacy, partitioned) = month_window(month), self.tables()
        names = self._names(legacy=legacy, partitioned=partitioned)
        (figures,) = self.statements.rows(
            "history/compare_month.sql", names, month_start=window.start, month_end=window.end
        )
        return figures

    def copy(self, month: str) -> dict[str, Any]:
        """Copy one month, compare both sides, record and return the figures.

        :raises MigrationDiffersError: when both sides differ afterwards.
        """
        window = month_window(month)
        bounds = {"month_start": window.start, "month_end": window.end}
        names = self._names(stamp=_DRAWS[self.side].stamp)
        copied = self.statements.affected("history/copy_month.sql", names, **bounds)
        figures = self.compare(month)
        self._log(month, figures, copied)
        if (figures["legacy_versions"], figures["legacy_digest"]) != (
            figures["migrated_versions"],
            figures["migrated_digest"],
        ):
            raise MigrationDiffersError(
                f"{self.dataset}.{PARTITIONED} differs from {LEGACY} in {month}: {figures['legacy_versions']} valid "
                f"versions expected, {figures['migrated_versions']} found. Clear the task of this month to copy it "
                "again; if it still differs, somebody else writes to the new table."
            )
        return {"month": month, "copied": copied, **figures}

    def cut_over(self) -> list[dict[str, Any]]:
        """Copy what arrived meanwhile, compare every month, and switch the names. Repeatable at any point.

        The caller must make sure that nobody writes to the table meanwhile.

        :returns: the figures of the months; empty when the draws were switched before.
        :raises MigrationDiffersError: when a month differs; the names are left as they are.
        """
        figures = []
        # A repeated run does the steps that are left: each looks at the names as they are.
        if self.awaits_draws():
            if self.exists(LEGACY):
                figures = [self.copy(month) for month in self.prepare()]
                self._rename(LEGACY, RETIRED)
            self._rename(PARTITIONED, LEGACY)
            self._log("cut_over", {}, None)
        self._switch_features()
        self._renew_statistics()
        return figures

    def _rename(self, table: str, new_name: str) -> None:
        self.statements.run("history/rename.sql", self._names(table=table, new_name=new_name))

    def _switch_features(self) -> None:
        """Set a legacy table of features aside and create its successor, empty: feature_refresh fills it."""
        features = _FEATURES[self.side]
        if features is None or not self.awaits_features():
            return
        if self.exists(features.name):
            self._rename(features.name, features.retired_name)
        self.statements.run("schema/V020__draws_14w.sql")

    def _renew_statistics(self) -> None:
        """Recreate the materialized view: it follows the table that it was created on, not the name."""
        views = {"source": "R__140_draw_versions_hourly_mv", "target": "R__150_draws_hourly_mv"}
        self.statements.run(f"schema/{views[self.side]}.sql")

    def _log(self, month: str, figures: dict[str, Any], copied: int | None) -> None:
        counts = {name: Typed("INT64", figures.get(name)) for name in ("legacy_versions", "migrated_versions")}
        self.statements.run(
            "history/log.sql",
            None,
            dataset=self.dataset,
            month=month,
            **counts,
            invalid_rows=Typed("INT64", figures.get("invalid_rows")),
            copied_rows=Typed("INT64", copied),
            run_id=self.run_id,
            logged_at=self.clock(),
        )
