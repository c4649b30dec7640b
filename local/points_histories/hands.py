"""What people change outside the pipeline: rows by hand, and backups."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import timedelta
from random import Random

from local.points_histories.oracle import DOWN, RowKey
from local.points_histories.world import World

_SAME = "last_modify_time = last_modify_time"


class Hands:
    """Somebody with a MySQL client."""

    def __init__(self, world: World, rng: Random) -> None:
        self.world, self.rng = world, rng

    def change(self) -> Iterator[timedelta]:
        """Change one thing; it takes no time."""
        changes: list[Callable[[], None]] = [
            self._revive, self._revive, self._take_down, self._edit, self._edit, self._there_and_back, self._zero_date,
            self._delete, self._edit_backup,
        ]  # fmt: skip
        self.rng.choice(changes)()
        yield from ()

    def _row(self, *, down: bool) -> RowKey | None:
        """Return a row of a point that is not in use every day, in service or out of it."""
        habits = self.world.made.habits
        found = [
            key
            for key, rows in sorted(self.world.seen.rows.items())
            if "nosdata" in key[1] and habits.get(key[2]) != "in use"
            and any((row[1] == str(DOWN)) is down for row in rows)
        ]  # fmt: skip
        return self.rng.choice(found) if found else None

    def _update(self, what: str, key: RowKey | None, assignment: str, condition: str = "TRUE") -> None:
        if key:
            environment, table, number = key
            told = f"{what} {table} {number}"
            self.world.by_hand(
                told,
                environment,
                f"UPDATE {table} SET {assignment} WHERE id = {number} AND {condition}",  # noqa: S608
            )

    def _same(self) -> str:
        return f", {_SAME}" if self.rng.random() < 0.5 else ""

    def _revive(self) -> None:
        self._update("revive", self._row(down=True), f"status = 1{self._same()}", f"status = {DOWN}")

    def _take_down(self) -> None:
        self._update("take down", self._row(down=False), f"status = {DOWN}{self._same()}")

    def _edit(self) -> None:
        key = self._row(down=self.rng.random() < 0.5)
        self._update("edit", key, f"description = 'v{self.rng.randrange(1000)}'{self._same()}")

    def _there_and_back(self) -> None:
        key = self._row(down=True)
        same = self._same()
        self._update("revive", key, f"status = 1{same}", f"status = {DOWN}")
        self._update("take down again", key, f"status = {DOWN}{same}", "status = 1")

    def _zero_date(self) -> None:
        self._update("zero date of", self._row(down=False), "last_modify_time = '0000-00-00 00:00:00'")

    def _delete(self) -> None:
        if key := self._row(down=self.rng.random() < 0.5):
            environment, table, number = key
            self.world.by_hand(f"delete {table} {number}", environment, f"DELETE FROM {table} WHERE id = {number}")  # noqa: S608

    def _edit_backup(self) -> None:
        places = self.world.sight.sql(
            "governance", "SELECT environment, backup_table, table_name FROM points_lifecycle.backup"
        )
        if places:
            environment, place, table = self.rng.choice(sorted(places))
            if "nosdata" in table:
                self.world.by_hand(f"edit {place}", environment, f"UPDATE {place} SET lv1 = CONCAT(lv1, 'x') LIMIT 1")  # noqa: S608
