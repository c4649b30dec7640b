"""Watch downlined batches: signs of life of their points, and who is notified ahead of the cleanup.

**When an observation ends**: ``observe.days`` of include/config/downline.yaml after a downline was verified
(`PointsVerifyOperator`); the second environment starts it again, so the days count from the last change. The end is
kept as ``observe_until`` (`ObservationRepository.start`). A halt leaves it as it is and keeps the batch from cleanup
until it is released; a release (`drawsguard.points.downline.release`, ``WATCH_DAYS``) may move it to later, and leaves
the begin as it is, so that no day from before it is taken for seen. Each of its days has to be in the pushed evidence,
whole, as far back as that reaches; a day that is missing there is observed later (`observed_days`), and the use of the
last one is known a day later. The batch is due when it has them all (`TicketRepository.due_batches`), and is watched
until it is cleaned.

**Rows that were changed and never verified** are watched from their change on; their days count from the verification.
When none is at -80 any more, restored or put back by hand, nothing is left to verify or to watch.

A point that somebody put back into service everywhere is watched no more: it is never cleaned, and no restore could end
its alert. One that is still at -80 in an environment is.

**What halts it** is what nobody knew who approved (`signs_of_life`), whenever it was: the last days before a downline
are in no evidence yet when it is approved, and records arrive late. Errors count from the observation's begin.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.points.database import fetch
from drawsguard.points.downline.recheck import Sign, signs_since, unknown_use
from drawsguard.points.downline.repositories import Repositories
from drawsguard.points.environments import Environment
from drawsguard.points.telemetry.config import PointsConfig
from drawsguard.points.telemetry.oper_type import parser

#: The audit's events of a downline that begins to change rows, of one that was verified, and of a release.
BEGUN, VERIFIED, RELEASED = "downline_begun", "verified", "released"
#: Where the audit of a release keeps the signs that it showed.
SHOWN = "shown_signs"

#: How long a downline may be on its way to its verification: its tasks' time, with their retries.
VERIFIED_WITHIN = timedelta(hours=3)


class Notice(NamedTuple):
    """A mail that is due to an owner (empty: the team) some days before a batch's cleanup."""

    days_before: int
    owner: str
    points: tuple[int, ...]


def downlined_points(repositories: Repositories, batch_id: str) -> frozenset[int]:
    """Return the points of a batch that it took out of service somewhere and did not restore, whatever they are now."""
    rows = repositories.plans.rows_in_state(batch_id, "downlined")
    return frozenset(row_id for _, kind, _, row_id, *_ in rows if kind == "point")


def first_observed(history: Iterable[Mapping[str, Any]], observed_from: datetime) -> datetime | None:
    """Return since when a batch's rows are observed: a release lifts a halt, and leaves out no day before it.

    None when a release moved the begin and no verification is noted: nobody knows when it was.

    :param history: the audit of the batch, oldest first.
    :param observed_from: the begin that the batch has now (naive UTC).
    """
    events = [(event["event"], event["at"]) for event in history if event["event"] in (VERIFIED, RELEASED)]
    verified = [at for event, at in events if event == VERIFIED]
    if events and not verified:
        return None
    first: datetime = min([observed_from, *verified[-1:]])
    return first


def date_set(history: Iterable[Mapping[str, Any]], observed_from: datetime) -> datetime:
    """Return when the end of a batch's observation was set last: when it began, or by a release since (naive UTC).

    Owners who were told an earlier end are told again.

    :param history: the audit of the batch; :param observed_from: the begin that the batch has now (naive UTC).
    """
    released: list[datetime] = [event["at"] for event in history if event["event"] == RELEASED]
    return max([observed_from, *released])


def signs_of_life(
    repositories: Repositories,
    members: Mapping[int, Iterable[int]],
    batch_id: str,
    observed_from: datetime,
    config: PointsConfig,
    business_timezone: str,
) -> list[Sign]:
    """Return what nobody knew of a batch's downlined points who approved its downline, or its release since.

    That is use that the report did not know (`recheck.unknown_use`), and errors since the observation began.

    :param members: points of each tag, in either environment.
    :param observed_from: naive UTC.
    """
    history = repositories.audit.events(batch_id)
    # Errors are those since the last verification, also of a batch that was released before releases kept the begin.
    since = first_observed(history, observed_from) or observed_from
    # The statistics have whole minutes of business time: the minute of the change counts as before it.
    local = since.replace(tzinfo=UTC).astimezone(ZoneInfo(business_timezone)).replace(tzinfo=None)
    from_minute = local.replace(second=0, microsecond=0) + timedelta(minutes=1)
    batch = repositories.batches.get(batch_id)
    points = downlined_points(repositories, batch_id)
    classes = {c.point_id: c.point_class for c in repositories.batches.candidates(batch_id) if c.point_id in points}
    governance, parse = repositories.connection, parser(config.oper_type_pattern)
    signs = unknown_use(governance, (batch.window_start, batch.window_end), classes, members, parse)
    signs += [s for s in signs_since(governance, from_minute, points, members, parse) if s.kind == "error"]
    known = _shown_by(event["detail"] for event in history if event["event"] == RELEASED)
    return [sign for sign in sorted(signs) if sign[:3] not in known or sign.last_seen > known[sign[:3]]]


class UnverifiedError(RuntimeError):
    """A downline was begun and not verified since; its rows are watched, and their days do not count yet."""


def require_verified(repositories: Repositories, batch_id: str, changed: datetime, now: datetime) -> None:
    """Refuse a downline that was begun long ago and is not verified.

    :param changed: when its first row was changed; :param now: both naive UTC.
    :raises UnverifiedError: saying since when, and what to do.
    """
    begun = [event["at"] for event in repositories.audit.events(batch_id) if event["event"] == BEGUN]
    since = begun[-1] if begun else changed
    if now - since > VERIFIED_WITHIN:
        raise UnverifiedError(
            f"its downline was begun at {since:%Y-%m-%d %H:%M} UTC and is not verified. Its rows at -80 are watched, "
            "but no day of their observation counts, and nothing is cleaned. Clear the task verify of its run, trigger "
            "a new run of points_downline, or restore all its rows with points_restore to undo."
        )


def kept_signs(repositories: Repositories, batch_id: str) -> list[tuple[Sign, datetime]]:
    """Return every sign of life that was kept of a batch, newest first, restored points included; and when (UTC)."""
    rows = fetch(repositories.connection, "downline/release/signs_kept.sql", {"batch_id": batch_id})
    repositories.connection.rollback()
    return [(Sign(kind, int(point), text, last, int(times)), at) for kind, text, point, last, times, at in rows]


def keep_signs(repositories: Repositories, batch_id: str, signs: Iterable[Sign]) -> None:
    """Keep signs of life of a batch; the same one again replaces itself."""
    repositories.observations.save(
        {
            "batch_id": batch_id,
            "kind": sign.kind,
            "oper_type": sign.oper_type,
            "point_id": sign.point_id,
            "last_seen": sign.last_seen,
            "seen_count": sign.times,
        }
        for sign in signs
    )


def as_shown(signs: Iterable[Sign]) -> list[list[Any]]:
    """Return the signs that a release showed as its audit keeps them; `signs_of_life` excuses these and no other."""
    return [[*sign[:3], sign.last_seen.isoformat()] for sign in signs]


def _shown_by(releases: Iterable[Mapping[str, Any]]) -> dict[tuple[str, int, str], datetime]:
    """Return when each sign was last seen that a release showed (naive business time).

    :param releases: details of the audit; one that does not say what it showed excuses nothing.
    """
    known: dict[tuple[str, int, str], datetime] = {}
    for detail in releases:
        for kind, point, text, last_seen in detail.get(SHOWN, ()):
            key, at = (str(kind), int(point), str(text)), datetime.fromisoformat(last_seen)
            known[key] = max(at, known.get(key, at))
    return known


def alert_key(batch_id: str) -> str:
    """Return the key of the alert that a batch's points are needed after all; one per batch."""
    return f"points:points_observe.{batch_id}"


def restore_requests(
    batch_id: str, down: Mapping[Environment, frozenset[int]], points: Iterable[int]
) -> list[dict[str, Any]]:
    """Return the params of points_restore that bring these points back: one run for each environment, all ids.

    :param down: the batch's points at -80, by environment.
    """
    wanted = frozenset(points)
    return [
        {"batch_id": batch_id, "environment": name, "ids": sorted(ids & wanted), "dry_run": False}
        for name, ids in down.items()
        if ids & wanted
    ]


def alert_detail(batch_id: str, points: Sequence[int]) -> str:
    """Return what the alert says about the points that show signs of life."""
    shown = ", ".join(map(str, points[:20])) + (" …" if len(points) > 20 else "")
    return (
        f"批次 {batch_id} 的 {len(points)} 个已下线积分仍有使用或报错，清理已暂停。"
        f"{len(points)} downlined points show use or errors; the cleanup is halted. {shown}"
    )


def due_notices(
    owners: Mapping[int, str],
    observe_until: datetime,
    now: datetime,
    notice_days: Iterable[int],
    sent: set[tuple[int, str]],
) -> list[Notice]:
    """Return the notices that are due now and were not sent; only the latest when several are due.

    :param owners: owner of each downlined point; empty for nobody.
    :param observe_until: end of the observation; :param now: both naive UTC.
    :param sent: (days before, owner) of those that were sent in this observation.
    """
    due = [days for days in notice_days if now >= observe_until - timedelta(days=days)]
    if not due or now >= observe_until:
        return []
    nearest = min(due)
    lists: dict[str, list[int]] = defaultdict(list)
    for point, owner in sorted(owners.items()):
        lists[owner].append(point)
    return [
        Notice(nearest, owner, tuple(points)) for owner, points in sorted(lists.items()) if (nearest, owner) not in sent
    ]
