"""Carry out an approved plan: in chunks, each one transaction that changes exactly its planned rows or nothing.

A chunk locks its rows, compares them with the plan, records them in the journal, changes them and checks the result.
The journal commits with the change, so a run that was killed anywhere is continued by running it again.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from typing import Any

from drawsguard.points import definitions
from drawsguard.points.database import close, execute
from drawsguard.points.definitions import DOWNLINED, Kind, Row
from drawsguard.points.downline.journal import Journal, PlannedRow
from drawsguard.points.downline.plan import PUT_BACK, Difference, Plan

Clock = Callable[[], datetime]

#: A run asks about one plan only, so no task of this one can be cleared to ask about another.
_NEW_RUN = "Trigger a new run: it plans what is left as it is now, and asks for its approval."

#: MySQL's errors of a server that is going down, of locks, of a connection that was ended, and of the client: 1053
#: shutdown, 1205 lock wait, 1213 deadlock, 1317 interrupted, 1927 killed, 2000 to 2999.
_ABOUT_THE_SERVER = frozenset({1053, 1205, 1213, 1317, 1927, *range(2000, 3000)})


class PlanChangedError(RuntimeError):
    """The rows are not the approved ones. The chunk was rolled back."""


class NotAllRestoredError(PlanChangedError):
    """Some rows could not be restored, and were rolled back; all others were restored and stay so."""


class StoppedError(RuntimeError):
    """The stop switch was set. Finished chunks stay; the rest was not touched."""


@dataclass(frozen=True)
class Execution:
    """How a plan is carried out.

    :param connection: a prepared connection to the environment.
    :param journal: the batch's journal on the same connection.
    :param stop: returns True to stop before the next chunk.
    :param digest: the approved plan's digest, recorded with each change.
    :param chunk_rows: maximum number of rows in a chunk (an id is never split).
    """

    connection: Any
    journal: Journal
    stop: Callable[[], bool]
    digest: str
    chunk_rows: int
    clock: Clock = lambda: datetime.now(UTC)

    def downline(self, plan: Plan) -> int:
        """Take the plan's pending rows out of service and return how many rows changed.

        :raises PlanChangedError: when rows differ from the plan; the chunk is rolled back.
        :raises StoppedError: when the stop switch is set.
        """
        return self._run(plan, "downline", self._downline_chunk)

    def restore(self, plan: Plan) -> int:
        """Give the plan's pending rows their old status and last_modify_time back; return how many rows changed.

        A row that cannot be restored keeps no other at -80: its chunk is rolled back, and repeated id by id.

        :raises NotAllRestoredError: after all others, naming the ids that could not be restored and why.
        :raises StoppedError: when the stop switch is set.
        """
        failures: list[str] = []

        def apart(kind: Kind, table: str, rows: list[PlannedRow]) -> int:
            return self._one_by_one(kind, table, rows, failures)

        changed = self._run(plan, "restore", self._restore_chunk, apart)
        if failures:
            raise NotAllRestoredError(
                f"{changed} of {len(plan.pending)} rows of batch {plan.batch_id} ({plan.environment}) were restored. "
                f"{len(failures)} ids were not, e.g. {'; '.join(failures[:10])}. Remove the cause (a trigger, a "
                f"constraint, somebody else's change). {_NEW_RUN}"
            )
        return changed

    def _run(
        self,
        plan: Plan,
        action: str,
        change: Callable[[Kind, str, list[PlannedRow]], None],
        apart: Callable[[Kind, str, list[PlannedRow]], int] | None = None,
    ) -> int:
        """Carry out the chunks.

        :param apart: carries out a chunk that was rolled back because of its rows, and returns how many changed.
        """
        if plan.action != action:
            raise ValueError(f"This is a plan to {plan.action}, not to {action}.")
        changed, total = 0, len(plan.pending)
        for kind, table, rows in plan.chunks(self.chunk_rows):
            if self.stop():
                raise StoppedError(
                    f"Stopped by the switch: {changed} of {total} rows of batch {plan.batch_id} ({plan.environment}) "
                    f"were changed and stay changed, the rest is untouched. Clear the switch and trigger a new run to "
                    "continue after a new approval, or run points_restore to undo."
                )
            try:
                self._in_one(change, kind, table, rows)
            except Exception as error:
                if not _is_about_rows(error):
                    raise
                if apart is None:
                    raise _as_refusal(error, table, rows, changed) from error
                changed += apart(kind, table, rows)
            else:
                changed += len(rows)
        return changed

    def _in_one(
        self, change: Callable[[Kind, str, list[PlannedRow]], None], kind: Kind, table: str, rows: list[PlannedRow]
    ) -> None:
        try:
            change(kind, table, rows)
            self.connection.commit()
        except BaseException:
            self._roll_back()
            raise

    def _one_by_one(self, kind: Kind, table: str, rows: list[PlannedRow], failures: list[str]) -> int:
        changed = 0
        for row_id, found in groupby(rows, key=lambda row: row.row_id):
            mine = list(found)
            try:
                self._in_one(self._restore_chunk, kind, table, mine)
            except Exception as error:
                if not _is_about_rows(error):
                    raise
                failures.append(f"{table} {row_id}: {type(error).__name__}: {error}")
            else:
                changed += len(mine)
        return changed

    def _roll_back(self) -> None:
        try:
            self.connection.rollback()
        except Exception:  # noqa: BLE001 - a lost connection was rolled back by the server; the first error matters
            close(self.connection)

    def _downline_chunk(self, kind: Kind, table: str, rows: list[PlannedRow]) -> None:
        ids = tuple(sorted({row.row_id for row in rows}))
        live = definitions.rows_of_ids(self.connection, table, kind, ids, lock="yes")
        _compare(table, _before(rows), Counter(live))
        self.journal.add(rows, self.digest, self.clock())
        affected = execute(self.connection, "downline/set_downline.sql", {"ids": ids}, table=table)
        if affected != len(rows):
            raise PlanChangedError(
                f"The UPDATE of {table} changed {affected} rows, planned {len(rows)}; rolled back. {_NEW_RUN}"
            )
        after = definitions.rows_of_ids(self.connection, table, kind, ids, downlined=True)
        missing = _after(rows) - Counter(after)
        if missing:
            raise PlanChangedError(
                f"{table}: rows are not at {DOWNLINED} with their last_modify_time unchanged: {_shown(missing)}; "
                f"rolled back. Check triggers on the table, and columns that change by themselves (ON UPDATE), then: "
                f"{_NEW_RUN}"
            )

    def _restore_chunk(self, kind: Kind, table: str, rows: list[PlannedRow]) -> None:
        ids = tuple(sorted({row.row_id for row in rows}))
        dead = definitions.rows_of_ids(self.connection, table, kind, ids, downlined=True, lock="yes")
        missing = _without_time(_before(rows)) - _without_time(Counter(dead))
        if missing:
            raise PlanChangedError(f"{table}: rows are no longer at {DOWNLINED}: {_shown(missing)}; rolled back.")
        columns = definitions.identity_columns(self.connection, table)
        for row in rows:
            values = {
                "id": row.row_id,
                "identity": row.identity,
                "status": row.old_status,
                "last_modify_time": row.last_modify_time or None,
            }
            changed = execute(self.connection, "downline/restore/restore_row.sql", values, table=table, columns=columns)
            if changed != 1 or not self.journal.mark_restored(row, self.digest, self.clock()):
                raise PlanChangedError(
                    f"{table}: row {row.row_id} could not be restored exactly once; rolled back. {_NEW_RUN}"
                )
        live = definitions.rows_of_ids(self.connection, table, kind, ids)
        missing = _before(rows) - Counter(live)
        if missing:
            raise PlanChangedError(f"{table}: rows are not what they were: {_shown(missing)}; rolled back.")


def _is_about_rows(error: Exception) -> bool:
    """Return whether an error is about the rows of a statement, and not about the server, its locks or the network."""
    from MySQLdb import MySQLError

    if isinstance(error, MySQLError):
        number = error.args[0] if error.args else 0
        return isinstance(number, int) and number >= 1000 and number not in _ABOUT_THE_SERVER
    return isinstance(error, PlanChangedError)


def _as_refusal(error: Exception, table: str, rows: list[PlannedRow], changed: int) -> PlanChangedError:
    """Return an error about a chunk's rows as one that says what became of them."""
    if isinstance(error, PlanChangedError):
        return error
    ids = sorted({row.row_id for row in rows})
    more = f" and {len(ids) - 10} more" if len(ids) > 10 else ""
    return PlanChangedError(
        f"{table}: the server refused to set {', '.join(map(str, ids[:10]))}{more} to {DOWNLINED}: {error}. Their "
        f"chunk was rolled back; {changed} rows of the plan were changed before and stay so. Remove the cause (the "
        f"type of status, a constraint, a unique key, a partition, a trigger), or run points_restore. {_NEW_RUN}"
    )


def _before(rows: Iterable[PlannedRow]) -> Counter[Row]:
    return Counter(Row(r.row_id, r.identity, r.old_status, r.last_modify_time, r.cluster) for r in rows)


def _after(rows: Iterable[PlannedRow]) -> Counter[Row]:
    return Counter(Row(r.row_id, r.identity, DOWNLINED, r.last_modify_time, r.cluster) for r in rows)


def _without_time(rows: Counter[Row]) -> Counter[Row]:
    plain: Counter[Row] = Counter()
    for row, number in rows.items():
        plain[row._replace(last_modify_time="", status=DOWNLINED)] += number
    return plain


def _compare(table: str, planned: Counter[Row], found: Counter[Row]) -> None:
    if planned != found:
        raise PlanChangedError(
            f"{table}: live rows are not the approved ones; rolled back. "
            f"Planned, not found: {_shown(planned - found)}; found, not planned: {_shown(found - planned)}. "
            f"{_NEW_RUN}"
        )


def _shown(rows: Counter[Row], most: int = 10) -> str:
    shown = [f"{row.row_id} (status {row.status}, {row.last_modify_time})" for row in list(rows)[:most]]
    more = f" and {len(rows) - most} more" if len(rows) > most else ""
    return f"[{', '.join(shown)}{more}]"


@dataclass(frozen=True)
class Verification:
    """What an environment holds after an execution: rows that are as planned, and those that are not.

    :param back: rows of ids that somebody put back into service since: that is left to them, and holds nothing.
    """

    changed: tuple[PlannedRow, ...]
    wrong: tuple[str, ...]
    back: tuple[Difference, ...]


def verify_downline(connection: Any, journal: Journal) -> Verification:
    """Compare the environment with the batch's journal.

    Every row that the batch downlined and nobody restored is at -80 with its last_modify_time kept, unless its id has a
    live row again in that table. That is a person's decision about a point, but not when nothing is left as planned.
    """
    changed, wrong = [], []
    back: set[Difference] = set()
    rows = sorted(journal.downlined())
    for table, kind in sorted({(row.table, row.kind) for row in rows}):
        mine = [row for row in rows if row.table == table]
        ids = {row.row_id for row in mine}
        dead = Counter(definitions.rows_if_there(connection, table, kind, ids, downlined=True))
        alive = {row.row_id for row in definitions.rows_if_there(connection, table, kind, ids)}
        for row in mine:
            expected = next(iter(_after([row])))
            if row.row_id in alive:
                back.add(Difference(kind, row.row_id, table, PUT_BACK))
            elif dead[expected] < 1:
                wrong.append(f"{table} {row.row_id}: not at {DOWNLINED} with last_modify_time {row.last_modify_time}")
            else:
                changed.append(row)
    connection.rollback()
    return Verification(tuple(changed), tuple(wrong), tuple(sorted(back)))
