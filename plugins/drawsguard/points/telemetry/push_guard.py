"""The decisions of the 15:00 push: whether a batch may be pushed, and whether Hive may be emptied afterwards.

A batch is one flow's result for one window. It passes through three states, each recorded in the transaction that makes
it so: published (committed in MySQL, Hive still full), truncating (both sides proven equal; Hive may be half empty),
completed. Whatever kills the push between two of them, the next run finds the state and continues from there.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

from drawsguard.override import SHORTEST_REASON
from drawsguard.points.telemetry.config import Flow, PushRules
from drawsguard.points.telemetry.day_plan import StatisticsWindow

#: The columns that are pushed, with their types on either side; anything else is refused.
SOURCE_COLUMNS = (("oper_ts", "string"), ("oper_type", "string"), ("eid", "bigint"), ("flow", "string"))
TARGET_COLUMNS = (("batch_id", "varchar"), ("oper_type", "varchar"), ("oper_ts", "datetime"), ("eid", "bigint"))

#: The only refusals that an operator can overrule, with a reason.
SIZE_CODES = frozenset({"too_few_rows", "too_many_rows", "shrunk", "grown"})

State = Literal["published", "truncating", "completed"]


class Facts(NamedTuple):
    """What is compared between both sides: rows, sum of eid, sum of the CRC-32 of every row."""

    row_count: int
    eid_sum: int
    checksum: int


EMPTY = Facts(0, 0, 0)


class Stamp(NamedTuple):
    """Which window (yyyy-MM-dd, both included) the Hive table was built from, and what it held then."""

    first: str
    last: str
    facts: Facts


class Batch(NamedTuple):
    """A batch as the ledger records it."""

    batch_id: str
    flow: str
    state: str
    facts: Facts
    purged: bool
    consolidated: bool

    @property
    def finished(self) -> bool:
        """Whether nothing is left to be done with it; a day of the daily flow is counted as well."""
        return self.state == "completed" and (self.flow != "daily" or self.consolidated)


@dataclass(frozen=True)
class Situation:
    """Everything that the guard checks before a push."""

    flow: Flow
    window: StatisticsWindow
    source: Facts
    stamp: Stamp | None
    ledger: Sequence[Batch]
    stored: Mapping[str, Facts]
    source_columns: Sequence[tuple[str, str]] = SOURCE_COLUMNS
    target_columns: Sequence[tuple[str, str]] = TARGET_COLUMNS

    @property
    def batch_id(self) -> str:
        return batch_id_of(self.flow, self.window)


class Decision(NamedTuple):
    """What to do: push, or resume a batch that is already in MySQL; and which refusal was overruled, if any."""

    action: Literal["push", "resume"]
    overruled_code: str = ""
    message: str = ""


class PushRefusedError(ValueError):
    """The guard refused. ``code`` names the reason."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(f"[{code}] {message}")
        self.code = code


def batch_id_of(flow: Flow, window: StatisticsWindow) -> str:
    """Return the id of the batch that holds ``flow``'s result for ``window``."""
    return f"{flow}_{window.first}_{window.last}"


def decide_before(situation: Situation, rules: PushRules, overrule_reason: str | None = None) -> Decision:
    """Decide whether the flow's Hive table may be pushed.

    :param overrule_reason: why an operator accepts a size outside the limits; overrules nothing else.
    :raises PushRefusedError: with the code of the first reason against it.
    """
    _refuse_other_columns(situation)
    _refuse_foreign_rows(situation)
    own = next((batch for batch in situation.ledger if batch.batch_id == situation.batch_id), None)
    if own is not None and situation.stored.get(own.batch_id) == own.facts and _is_settled(own, situation):
        left = "it is not counted yet" if own.state == "completed" else "its Hive side is not finished"
        return Decision("resume", message=f"Batch {own.batch_id} is in MySQL already; {left}.")
    _refuse_empty(situation)
    require_as_built(situation.flow, situation.window, situation.stamp, situation.source)
    refusal = _size_refusal(situation, rules)
    if refusal is None:
        return Decision("push")
    if overrule_reason is None or len(overrule_reason.strip()) < SHORTEST_REASON:
        raise refusal
    return Decision("push", refusal.code, str(refusal))


def require_window(flow: Flow, window: StatisticsWindow, stamp: Stamp | None) -> Stamp:
    """Return the stamp of what Hive holds; asked again at every step, since a build may come between any two.

    :raises PushRefusedError: when Hive was built from another window, or a build did not come to its end.
    """
    rebuild = f"Run {_builder(flow)} for run_date {window.run_date}, then clear guard_before and what follows it."
    if stamp is None:
        raise PushRefusedError(
            "wrong_window",
            f"cma.ads_evt_ops_status (flow {flow}) carries no build stamp: a build is under way or broke off, so it "
            f"may hold anything; this run pushes {window.first} to {window.last}. Nothing was truncated. {rebuild}",
        )
    if (stamp.first, stamp.last) != (window.first.isoformat(), window.last.isoformat()):
        raise PushRefusedError(
            "wrong_window",
            f"cma.ads_evt_ops_status was built from {stamp.first} to {stamp.last}, this run pushes {window.first} to "
            f"{window.last}. Nothing was truncated. {rebuild} To push what is there instead, trigger points_push with "
            "the run_date that it was built for.",
        )
    return stamp


def require_as_built(flow: Flow, window: StatisticsWindow, stamp: Stamp | None, held: Facts) -> None:
    """Refuse what is not, row by row, the build of the window.

    :param held: what Hive holds, or what was read of it.
    :raises PushRefusedError: as `require_window`; and when something else wrote to the table.
    """
    built = require_window(flow, window, stamp)
    if built.facts != held:
        raise PushRefusedError(
            "changed_since_build",
            f"cma.ads_evt_ops_status changed since it was built: {_said(built.facts)} then, {_said(held)} now. "
            f"Something else writes to it. Nothing was truncated. Run {_builder(flow)} for run_date {window.run_date}, "
            "then clear guard_before and what follows it.",
        )


def decide_truncate(
    flow: Flow, window: StatisticsWindow, batch: Batch | None, stamp: Stamp | None, source: Facts, stored: Facts
) -> bool:
    """Decide whether Hive may be emptied: True when it must be, False when that is done already.

    :param batch: the ledger's record, or None.
    :param stamp: the build that Hive holds now.
    :param source: what Hive holds now.
    :param stored: what MySQL holds now.
    :raises PushRefusedError: when the sides or their windows differ; nothing may be truncated then.
    """
    batch_id = batch_id_of(flow, window)
    if batch is None:
        raise PushRefusedError(
            "not_published", f"Batch {batch_id} is not in the ledger, so nothing is truncated: run the push task first."
        )
    if stored != batch.facts:
        raise PushRefusedError("mysql_changed", _changed(batch_id, batch.facts, stored))
    if batch.state == "completed":
        return False
    require_window(flow, window, stamp)
    if source != batch.facts and not (batch.state == "truncating" and source == EMPTY):
        raise PushRefusedError(
            "checksum_differs",
            f"Hive and MySQL differ for batch {batch_id}: Hive {_said(source)}, MySQL {_said(stored)}. Nothing was "
            "truncated. If the table was built again meanwhile, trigger points_push for its run_date: it replaces this "
            "batch. Otherwise find out who wrote to cma.ads_evt_ops_status before pushing again.",
        )
    return True


def _is_settled(own: Batch, situation: Situation) -> bool:
    """Return whether the batch needs no load: MySQL holds it as the ledger says, and Hive holds nothing newer.

    A day that was completed and never counted goes on to that: its rows are deleted with those of old batches.

    :raises PushRefusedError: when it was completed before, and nothing is left to do.
    """
    same = situation.source == own.facts
    if own.state == "completed":
        if (same or situation.source == EMPTY) and not own.finished:
            return True
        if same or situation.source == EMPTY:
            raise PushRefusedError(
                "already_pushed",
                f"Batch {own.batch_id} was pushed and completed ({_said(own.facts)}); pushing it again would change "
                "nothing. If cma.ads_evt_ops_status is full, it was built again for the same window: leave it, the "
                "next build replaces it. If a newer window was expected, run points_hive_aggregation first.",
            )
        return False
    return same or (own.state == "truncating" and situation.source == EMPTY)


def _refuse_other_columns(situation: Situation) -> None:
    for table, expected, found in (
        ("Hive cma.ads_evt_ops_status", SOURCE_COLUMNS, situation.source_columns),
        ("MySQL rsp_datagovern.ads_evt_ops_status_ago", TARGET_COLUMNS, situation.target_columns),
    ):
        if tuple(found) != expected:
            raise PushRefusedError(
                "schema_differs",
                f"{table} has the columns {_columns(found)}, expected {_columns(expected)}. Put the columns back, or "
                "change include/sql and the push together; then clear this task.",
            )


def _refuse_foreign_rows(situation: Situation) -> None:
    known = {batch.batch_id: batch for batch in situation.ledger}
    for batch_id in sorted(situation.stored.keys() - known.keys()):
        raise PushRefusedError(
            "mysql_changed",
            f"ads_evt_ops_status_ago holds {situation.stored[batch_id].row_count} rows of batch {batch_id}, which this "
            "push never wrote. Find out who did; delete the rows of that batch, then clear this task.",
        )
    for batch in situation.ledger:
        stored = situation.stored.get(batch.batch_id, EMPTY)
        if stored != (EMPTY if batch.purged else batch.facts):
            raise PushRefusedError("mysql_changed", _changed(batch.batch_id, batch.facts, stored))


def _refuse_empty(situation: Situation) -> None:
    if situation.source.row_count == 0:
        raise PushRefusedError(
            "empty_source",
            f"cma.ads_evt_ops_status holds no rows of the flow {situation.flow}. Nothing was pushed or truncated. Run "
            f"{_builder(situation.flow)} for run_date {situation.window.run_date}, then clear this task.",
        )


def _size_refusal(situation: Situation, rules: PushRules) -> PushRefusedError | None:
    rows = situation.source.row_count
    overrule = (
        "Compare with cma.evt_day_quality. If the size is right, trigger points_push with size_overrule_reason; the "
        "reason is recorded."
    )
    if rows < rules.smallest_rows:
        return PushRefusedError("too_few_rows", f"{rows} rows, at least {rules.smallest_rows} expected. {overrule}")
    if rows > rules.largest_rows:
        return PushRefusedError("too_many_rows", f"{rows} rows, at most {rules.largest_rows} expected. {overrule}")
    # The batch ids of a flow sort by the first day of their windows.
    before = [b for b in situation.ledger if b.flow == situation.flow and b.batch_id < situation.batch_id]
    if not before:
        return None
    previous = before[-1]
    change = 100 * (rows - previous.facts.row_count) / previous.facts.row_count
    compared = f"{rows} rows, batch {previous.batch_id} had {previous.facts.row_count} ({change:+.1f} %"
    if change < -rules.largest_shrink_percent:
        return PushRefusedError(
            "shrunk", f"{compared}, limit -{rules.largest_shrink_percent} %). Metrics may have been lost. {overrule}"
        )
    if change > rules.largest_growth_percent:
        return PushRefusedError(
            "grown", f"{compared}, limit +{rules.largest_growth_percent} %). Rows may be duplicated. {overrule}"
        )
    return None


def _changed(batch_id: str, expected: Facts, found: Facts) -> str:
    return (
        f"Rows of batch {batch_id} in ads_evt_ops_status_ago were changed by someone else: pushed {_said(expected)}, "
        f"found {_said(found)}. Nothing was pushed or truncated. Find out who did. Then withdraw the batch "
        "(include/sql/mysql/telemetry/push/withdraw_batch.sql) and clear this task. To have it back, build its window "
        "again and trigger points_push for the same run_date, the day after the window's last day."
    )


def _builder(flow: Flow) -> str:
    return "points_hive_aggregation" if flow == "window" else "points_hive_daily"


def _said(facts: Facts) -> str:
    return f"{facts.row_count} rows, eid {facts.eid_sum}, checksum {facts.checksum}"


def _columns(columns: Sequence[tuple[str, str]]) -> str:
    return ", ".join(f"{name} {kind}" for name, kind in columns)
