"""Who used what, who approved what, and what must therefore never have happened: judged after every step.

Nothing of the pipeline is asked here. The oracle is told what CMA delivered, what was published, what people confirmed
and approved, and what somebody did by hand; it sees every row, every journal entry and every key before and after a
step, and explains each difference by what it was told, or names it as lost.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from local.points_histories.definitions import FIRST_FILLER, Place
from local.points_histories.telemetry import DAY, ZONE, Use

DOWN = -80
#: Position of the status in a row, and of last_modify_time in rows of points and tags.
STATUS, POINT_TIME, TAG_TIME = 1, 10, 5
OBSERVED_DAYS = 30
#: From this time of the business day on, the evidence of the day before has to be there.
ARRIVES_BY = time(16)
APPROVAL_HOURS = 72

Environment = str
Row = tuple[str | None, ...]
RowKey = tuple[Environment, str, int]
Rows = dict[RowKey, Counter[Row]]

#: What may be done to a point of each class with the knowledge of those who confirmed it.
KNOWN_OPERATIONS = {"read_only": frozenset({"que"}), "write_only": frozenset({"upd"}), "unused": frozenset[str]()}


class Entry(NamedTuple):
    """A row of an environment's journal."""

    batch: str
    environment: Environment
    table: str
    row_id: int
    old_status: int
    last_modify_time: str
    state: str


class Look(NamedTuple):
    """Everything that must not be lost, at one moment."""

    rows: Rows
    journal: frozenset[tuple[Entry, int]]
    keys: frozenset[Place]


@dataclass(frozen=True)
class Step:
    """What happened between two looks.

    :param what: as the story tells it.
    :param action: what it may change: ``downline``, ``restore`` or ``cleanup``; empty: nothing of all this.
    :param batch: which batch it is about; :param environment: where.
    :param approved: when the person whose yes it acts under gave it; None: nobody did.
    """

    what: str
    at: datetime
    action: str = ""
    batch: str = ""
    environment: Environment = ""
    approved: datetime | None = None


@dataclass
class Report:
    """What a report told the people who confirmed it: the window and each candidate's class; and their decision."""

    first: date
    last: date
    classes: Mapping[int, str]
    confirmed: frozenset[int] = frozenset()


@dataclass
class Down:
    """Rows that a batch took out of service, as they were before."""

    batch: str
    at: datetime
    before: Counter[Row] = field(default_factory=Counter)
    touched: bool = False


@dataclass
class Oracle:
    """The judge of one history.

    :param owners: whose each key is; None: of nothing that may ever be cleaned.
    :param tags: members of each tag, in either environment.
    :param uses: every record that CMA ever had.
    """

    owners: Mapping[Place, int | None]
    tags: Mapping[int, frozenset[int]]
    uses: Collection[Use]
    reports: dict[str, Report] = field(default_factory=dict)
    #: Days whose evidence was published whole.
    whole_days: set[date] = field(default_factory=set)
    #: When the release of a batch was approved, knowing all use that was known then.
    released: dict[str, datetime] = field(default_factory=dict)
    down: dict[RowKey, Down] = field(default_factory=dict)
    lost: list[str] = field(default_factory=list)
    done: Counter[str] = field(default_factory=Counter)

    # --- one step -----------------------------------------------------------------------------------------------
    def judge(self, step: Step, before: Look, after: Look, backups: Mapping[RowKey, Counter[Row]]) -> list[str]:
        """Return what the step lost.

        :param backups: what the backups of the step's batch hold of the rows that changed.
        """
        found = [
            *self._rows(step, before, after, backups),
            *self._journal(before, after),
            *self._keys(step, before, after),
        ]
        self.lost += [f"{step.what}: {problem}" for problem in found]
        return found

    def by_hand(self, before: Rows, after: Rows) -> None:
        """Take note of rows that somebody changed outside the pipeline."""
        for key in before.keys() | after.keys():
            if before.get(key) != after.get(key) and key in self.down:
                self.down[key].touched = True

    # --- rows ---------------------------------------------------------------------------------------------------
    def _rows(self, step: Step, before: Look, after: Look, backups: Mapping[RowKey, Counter[Row]]) -> Iterator[str]:
        for key in sorted(before.rows.keys() | after.rows.keys()):
            old, new = before.rows.get(key, Counter()), after.rows.get(key, Counter())
            if old == new:
                continue
            gone, come = old - new, new - old
            if step.environment != key[0] or not step.approved:
                yield f"{_named(key)} changed, and nobody approved it: {_shown(gone)} became {_shown(come)}"
            elif step.action == "downline":
                yield from self._downlined(step, key, gone, come, after, backups)
            elif step.action == "restore":
                yield from self._restored(step, key, gone, come)
            else:
                yield f"{_named(key)} was changed by a step that changes no rows: {_shown(gone)} became {_shown(come)}"

    def _downlined(
        self,
        step: Step,
        key: RowKey,
        gone: Counter[Row],
        come: Counter[Row],
        after: Look,
        backups: Mapping[RowKey, Counter[Row]],
    ) -> Iterator[str]:
        number = key[2]
        down = Counter((*row[:STATUS], str(DOWN), *row[STATUS + 1 :]) for row in gone.elements())
        if come != down or any(_status(row) <= 0 for row in gone):
            yield f"{_named(key)}: {_shown(gone)} became {_shown(come)}, more than its status, or not from service"
        if any(_status(row) > 0 for row in after.rows[key]):
            yield f"{_named(key)}: only some of its rows went to {DOWN}"
        yield from self._complete(step, key, gone, after, backups)
        if not step.approved or step.at - step.approved > timedelta(hours=APPROVAL_HOURS):
            yield f"{_named(key)} went to {DOWN} under an approval of {step.approved}, which has expired"
        if "nosdata" in key[1]:
            if key[0] == "extranet" and not any(
                entry.batch == step.batch and entry.row_id == number and entry.environment == "intranet"
                for entry, _ in after.journal
            ):
                yield f"{_named(key)} went to {DOWN} before the intranet's"
            yield from self._used(step, number)
        else:
            for point in sorted(self._members(after.rows, key)):
                yield f"{_named(key)} went to {DOWN} although its point {point} is in service"
        # Rows of the same id may go in several chunks, and again after a restore.
        known = self.down.get(key)
        if known is None or known.batch != step.batch or known.touched:
            known = self.down[key] = Down(step.batch, step.at)
        known.before = gone
        self.done["downlined"] += gone.total()

    def _members(self, rows: Rows, key: RowKey) -> Iterator[int]:
        """Yield the points of a tag's rows that are in service in the same environment."""
        members = {int(part) for row in rows[key] for part in str(row[4]).split(",")}
        for (environment, table, number), found in rows.items():
            if environment == key[0] and "nosdata" in table and number in members and _in_service(found):
                yield number

    def _complete(
        self, step: Step, key: RowKey, gone: Counter[Row], after: Look, backups: Mapping[RowKey, Counter[Row]]
    ) -> Iterator[str]:
        """Yield what is missing in the history of rows that went out of service."""
        position = POINT_TIME if "nosdata" in key[1] else TAG_TIME
        noted: Counter[tuple[int, str]] = Counter()
        for entry, times in after.journal:
            if (entry.batch, entry.environment, entry.table, entry.row_id, entry.state) == (
                step.batch, *key, "downlined",
            ):  # fmt: skip
                noted[entry.old_status, entry.last_modify_time] += times
        wanted = Counter({(_status(row), row[position] or ""): 0 for row in gone})
        for row, times in gone.items():
            wanted[_status(row), row[position] or ""] += times
        if missing := wanted - noted:
            yield f"{_named(key)}: the journal does not have {dict(missing)}"
        if missing_rows := gone - backups.get(key, Counter()):
            yield f"{_named(key)}: no backup has {_shown(missing_rows)}"

    def _restored(self, step: Step, key: RowKey, gone: Counter[Row], come: Counter[Row]) -> Iterator[str]:
        if any(_status(row) != DOWN for row in gone):
            yield f"{_named(key)}: {_shown(gone)} was no row at {DOWN}"
        known = self.down.get(key)
        if known is None or known.batch != step.batch:
            yield f"{_named(key)} was restored from batch {step.batch}, which did not take it out of service"
        elif not known.touched and (wrong := come - known.before):
            yield f"{_named(key)} was restored as {_shown(wrong)}, and it was {_shown(known.before)}"
        self.done["restored"] += come.total()

    def _used(self, step: Step, point: int) -> Iterator[str]:
        """Yield use that those who approved a point's downline did not know, and could have known."""
        report = self.reports[step.batch]
        if point not in report.confirmed:
            yield f"point {point} went to {DOWN}, and nobody confirmed it in batch {step.batch}"
            return
        for day in self._lacking(report.last + DAY, expected(step.at)):
            yield f"point {point} went to {DOWN} although nobody knows whether it was used on {day}"
        for use in self._uses_of(point):
            if use.known is None or use.known > step.at or use.day < report.first or use.operation == "err":
                continue
            if use.day > report.last or use.operation not in KNOWN_OPERATIONS[report.classes[point]]:
                yield (
                    f"point {point} ({report.classes[point]}, batch {step.batch}, evidence to {report.last}) went to "
                    f"{DOWN} although it was used: {use}, known {use.known:%Y-%m-%d %H:%M}"
                )

    # --- journal ------------------------------------------------------------------------------------------------
    def _journal(self, before: Look, after: Look) -> Iterator[str]:
        left: Counter[Entry] = Counter()
        for entry, times in after.journal:
            left[entry._replace(state="")] += times
        for entry, times in before.journal:
            left[entry._replace(state="")] -= times
        for entry, times in left.items():
            if times < 0:
                yield f"the journal lost {entry}"

    # --- keys ---------------------------------------------------------------------------------------------------
    def _keys(self, step: Step, before: Look, after: Look) -> Iterator[str]:
        deleted = before.keys - after.keys
        for place in sorted(deleted, key=str):
            point = self.owners.get(place)
            if point is None:
                yield f"key {place} was deleted, which is of no point that may be cleaned"
            elif step.action != "cleanup" or not step.approved:
                yield f"key {place} of point {point} was deleted, and nobody approved it"
            else:
                yield from self._cleaned(step, place, point, before.rows, after.rows)
        self.done["deleted keys"] += len(deleted)

    def _cleaned(self, step: Step, place: Place, point: int, before: Rows, after: Rows) -> Iterator[str]:
        what = f"key {place} of point {point} was deleted for batch {step.batch}"
        for rows in (before, after):
            for key, found in rows.items():
                if key[2] == point and "nosdata" in key[1] and _in_service(found):
                    yield f"{what}, which is in service on the {key[0]}"
                    return
        downs = [(key, down) for key, down in self.down.items() if key[2] == point and "nosdata" in key[1]]
        standing = [(key, down) for key, down in downs if down.batch == step.batch and not down.touched]
        if not standing:
            yield f"{what}, which did not take it out of service, or whose row somebody changed since"
            return
        if others := sorted({down.batch for _, down in downs if down.batch != step.batch}):
            latest = max(down.at for _, down in downs)
            if any(down.at == latest and down.batch in others for _, down in downs):
                yield f"{what}, but batch {others} took it out of service later"
        went = max(down.at for _, down in standing)
        first = went.astimezone(ZONE).date()
        observed = [day for day in self.whole_days if day >= first]
        if len(observed) < OBSERVED_DAYS:
            yield f"{what} after {len(observed)} observed days"
        report, since = self.reports[step.batch], min(down.at for _, down in standing)
        for use in self._uses_of(point):
            if not self._is_news(use, report, point, since, step):
                continue
            yield f"{what} although it was used: {use}, known {use.known:%Y-%m-%d %H:%M}, down since {since}"

    def _is_news(self, use: Use, report: Report, point: int, since: datetime, step: Step) -> bool:
        """Return whether a use is one that was known when a key was deleted, and that nobody knew who approved that."""
        if use.known is None or use.known > step.at or use.known <= since or use.day < report.first:
            return False
        if use.operation == "err" and use.at.replace(tzinfo=ZONE) < since:
            return False
        if use.day <= report.last and use.operation in KNOWN_OPERATIONS[report.classes[point]]:
            return False
        released = self.released.get(step.batch)
        return released is None or use.known > released

    # --- what is known --------------------------------------------------------------------------------------------
    def _uses_of(self, point: int) -> Iterator[Use]:
        tags = frozenset(tag for tag, members in self.tags.items() if point in members)
        return (use for use in self.uses if use.concerns(point, tags))

    def _lacking(self, first: date, last: date) -> list[date]:
        days = (first + offset * DAY for offset in range(max(0, (last - first).days + 1)))
        return [day for day in days if day not in self.whole_days]


def expected(now: datetime) -> date:
    """Return the last day whose evidence has to be there."""
    local = now.astimezone(ZONE)
    return local.date() - (DAY if local.time() >= ARRIVES_BY else 2 * DAY)


def _status(row: Row) -> int:
    return int(row[STATUS] or 0)


def _in_service(rows: Counter[Row]) -> bool:
    return any(_status(row) > 0 for row in rows)


def _named(key: RowKey) -> str:
    environment, table, number = key
    return f"{environment} {table} {number}"


def _shown(rows: Counter[Row]) -> str:
    return str([list(row) for row in rows.elements()])


def is_filler(number: int) -> bool:
    """Return whether an id is one of those that only make the tables large enough."""
    return number >= FIRST_FILLER
