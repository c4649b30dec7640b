"""The feed's answers: which fields they have, and how an answer becomes valid draws and rejected rows.

An answer is ``{"message": "success", "data": [row, …]}``; an answer of the history also has ``pages``, a number. A row:

=================  ==========================================================================================
``nbr``            the period: a positive integer, as a number or as text
``number``         the digits, ``"8+8+4"``; some answers call the key ``num``. A plain number under ``num`` is the sum.
                   ``"8,8,4"``, ``"08 + 08 + 04"`` and ``[8, 8, 4]`` say the same
``date``, ``time`` when it was drawn, Beijing time: ``"2026-11-22"``, ``"12:03:30"``
``keno``           optional: the 20 balls, ``"7,8,14,…"`` or a list; the digits are compared with it
``sum``            optional: the sum; compared with the digits
``combination``    optional: ``大单``, ``大双``, ``小单`` or ``小双``; compared with the digits
``created_at``     optional: when it was published, ISO 8601 with offset; else the time of the poll
``updated_at``     optional: when it was corrected, ISO 8601 with offset; else the time at which the collector saw it
=================  ==========================================================================================

A number may be written as a number, as text, with full-width digits or as ``3.0``: what can be read in one way only is
read. Unknown fields are ignored. A row that breaks one of these rules is rejected; the other rows are kept. What can
only be seen beside other draws, whether the time fits them, is judged before a row is stored
(`drawsguard.draws.collect.poll`, ``time_implausible``).
"""

from __future__ import annotations

import hashlib
import json
import re
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from drawsguard.draws.keno import Digits, digits_of
from drawsguard.draws.model import MAX_PERIOD, Draw

#: The feed gives dates and times in Beijing time, wherever this runs.
FEED_TIMEZONE = ZoneInfo("Asia/Shanghai")

#: A draw may be this far ahead of our clock before it is rejected.
CLOCK_TOLERANCE = timedelta(minutes=2)

#: More pages than this are no number of pages (at 1,000 draws each: 67 years).
MOST_PAGES = 10_000

#: How much of a rejected row or answer is stored (characters).
RAW_LIMIT = 4000

COMBINATIONS = {("big", "odd"): "大单", ("big", "even"): "大双", ("small", "odd"): "小单", ("small", "even"): "小双"}


class FeedError(Exception):
    """The feed's answer as a whole is unusable. ``reason`` is its code, ``raw`` what was received (may be empty)."""

    reason = "feed_error"

    def __init__(self, message: str, raw: str = "", http_status: int | None = None) -> None:
        super().__init__(message)
        self.raw = raw
        self.http_status = http_status


class FeedUnreachableError(FeedError):
    """No answer: connection refused, interrupted or timed out."""

    reason = "unreachable"


class FeedHttpError(FeedError):
    """An HTTP status other than 200."""

    reason = "http_error"


class AnswerNotJsonError(FeedError):
    """The body is not a JSON object."""

    reason = "answer_not_json"


class AnswerRefusedError(FeedError):
    """``message`` is not ``success``."""

    reason = "answer_refused"


class AnswerWithoutDataError(FeedError):
    """``data`` is missing, not a list, or (for the newest draws) empty."""

    reason = "answer_without_data"


class AnswerAllRejectedError(FeedError):
    """There are rows, and not one of them is valid."""

    reason = "answer_all_rejected"


class AnswerPagesError(FeedError):
    """``pages`` cannot be understood: how much of the history is missing is not known."""

    reason = "answer_pages_invalid"


class AnswerImplausibleError(FeedError):
    """Most rows have times that contradict the stored draws: either the feed's clock or what is stored is wrong."""

    reason = "answer_implausible"


@dataclass(frozen=True)
class Rejected:
    """A row that must not become a draw: a code, a sentence, and the row as it was received."""

    reason: str
    detail: str
    raw: str
    period: int | None = None

    @property
    def row_id(self) -> str:
        """The same row has the same id however often it is received."""
        return hashlib.sha256(self.raw.encode()).hexdigest()


@dataclass(frozen=True)
class Answer:
    """What one answer holds: valid draws by period, rejected rows, and the number of rows received.

    ``pages`` is how many pages the feed says there are, None where it says nothing.
    """

    polled_at: datetime
    draws: tuple[Draw, ...]
    rejected: tuple[Rejected, ...]
    received: int
    pages: int | None = None

    @property
    def digest(self) -> str:
        """Answers that say the same of the same draws have the same digest, whenever they were received."""
        draws = sorted((draw.period, str(draw.timestamp), draw.numbers, str(draw.updated_at)) for draw in self.draws)
        said = repr((draws, sorted(row.row_id for row in self.rejected)))
        return hashlib.sha256(said.encode()).hexdigest()


def parse_answer(body: str, polled_at: datetime) -> Answer:
    """Turn an answer's body into draws and rejected rows.

    :param body: the text of an HTTP 200 answer.
    :param polled_at: when it was received (aware); stands in for a missing ``created_at``.
    :raises AnswerNotJsonError: when it is not a JSON object.
    :raises AnswerRefusedError: when its ``message`` is not ``success``.
    :raises AnswerWithoutDataError: when it has no list of rows.
    :raises AnswerPagesError: when its ``pages`` is no number of pages.
    """
    raw = body[:RAW_LIMIT]
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise AnswerNotJsonError(f"The feed's answer is not JSON ({error}); it begins {raw[:80]!r}.", raw) from error
    if not isinstance(answer, dict):
        raise AnswerNotJsonError(f"The feed's answer is not a JSON object; it begins {raw[:80]!r}.", raw)
    if answer.get("message") != "success":
        raise AnswerRefusedError(f"The feed's message is {answer.get('message')!r}, not 'success'.", raw)
    rows = answer.get("data")
    if not isinstance(rows, list):
        raise AnswerWithoutDataError(f"The feed's data is {type(rows).__name__}, not a list of rows.", raw)

    valid: list[Draw] = []
    rejected: list[Rejected] = []
    for row in rows:
        try:
            valid.append(_parse_row(row, polled_at))
        except _RowError as error:
            rejected.append(_reject(row, error.reason, str(error)))
    draws, conflicting = _newest_of_each(valid)
    rejected += [rejected_draw(draw, "conflicting_rows", detail) for draw, detail in conflicting]
    return Answer(polled_at, draws, tuple(rejected), len(rows), _pages(answer, raw))


def _pages(answer: dict[str, Any], raw: str) -> int | None:
    stated = answer.get("pages")
    if stated is None:
        return None
    pages = _integer(stated)
    if pages is None or not 0 <= pages <= MOST_PAGES or (pages == 0 and answer["data"]):
        raise AnswerPagesError(
            f"The feed's pages is {str(stated)[:40]!r}, not a number from 1 to {MOST_PAGES}: how many more pages the "
            "history has cannot be known. Nothing of this page was stored; compare it with the feed's documentation.",
            raw,
        )
    return max(pages, 1)


def rejected_draw(draw: Draw, reason: str, detail: str) -> Rejected:
    """Return a valid draw as a row that must not be stored."""
    return _reject(_as_row(draw), reason, detail)


def require_draws(answer: Answer) -> None:
    """Refuse an answer that must hold draws and holds none.

    :raises AnswerWithoutDataError: when it has no row.
    :raises AnswerAllRejectedError: when every row was rejected.
    """
    if not answer.received:
        raise AnswerWithoutDataError("The feed answered success without draws; the newest draws are never empty.")
    if not answer.draws:
        reasons = ", ".join(sorted({row.reason for row in answer.rejected}))
        raise AnswerAllRejectedError(
            f"All {answer.received} rows of the feed's answer were rejected ({reasons}). They are in the quarantine; "
            "compare them with the fields that drawsguard.draws.collect.feed documents."
        )


class _RowError(Exception):
    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(detail)
        self.reason = reason


def _parse_row(row: Any, polled_at: datetime) -> Draw:
    if not isinstance(row, dict):
        raise _RowError("row_not_object", f"The row is {type(row).__name__}, not an object.")
    period = _period(row)
    numbers = _digits(row)
    timestamp = _draw_time(row)
    if timestamp > polled_at + CLOCK_TOLERANCE:
        raise _RowError("time_in_future", f"Drawn at {timestamp.isoformat()}, polled at {polled_at.isoformat()}.")
    # A stamp ahead of the clock is capped, or no correction could follow this version until then.
    created_at = min(_stamp(row, "created_at") or polled_at, polled_at)
    updated_at = _stamp(row, "updated_at")
    draw = Draw.derive(period, timestamp, numbers, created_at, updated_at and min(updated_at, polled_at))
    _hold_against_stated(row, draw)
    return draw


def _integer(value: Any) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, float):
        return int(value) if value.is_integer() else None
    # Longer texts cannot be valid numbers here, and int() refuses very long ones.
    match = re.fullmatch(r"\s*([0-9]{1,20})(\.0+)?\s*", _plain(value), re.ASCII) if isinstance(value, str) else None
    return int(match[1]) if match else None


def _plain(text: str) -> str:
    """Return a short text with its full-width characters as ASCII ones: ``８＋８＋４`` is ``8+8+4``."""
    return unicodedata.normalize("NFKC", text[:100])


def _period(row: dict[str, Any]) -> int:
    period = _integer(row.get("nbr"))
    if period is None or not 0 < period <= MAX_PERIOD:
        raise _RowError(
            "period_invalid", f"nbr is {str(row.get('nbr'))[:40]!r}, not an integer from 1 to {MAX_PERIOD}."
        )
    return period


def _digits(row: dict[str, Any]) -> Digits:
    stated = row.get("number", row.get("num"))
    if stated is None:
        raise _RowError("number_missing", "There is neither number nor num.")
    parts = re.split("[+,]", _plain(stated)) if isinstance(stated, str) else stated
    match [_integer(part) for part in parts] if isinstance(parts, list) else []:
        case [int(first), int(second), int(third)] if all(0 <= digit <= 9 for digit in (first, second, third)):
            return first, second, third
    raise _RowError("number_invalid", f"The number is {str(stated)[:40]!r}, not three digits like '8+8+4'.")


def _draw_time(row: dict[str, Any]) -> datetime:
    stated = f"{row.get('date')} {row.get('time')}"
    try:
        local = datetime.strptime(stated, "%Y-%m-%d %H:%M:%S")  # noqa: DTZ007 - the feed's zone is attached next
    except ValueError as error:
        raise _RowError("time_invalid", f"date and time are {stated[:60]!r}, not YYYY-MM-DD HH:MM:SS.") from error
    try:
        return local.replace(tzinfo=FEED_TIMEZONE).astimezone(ZoneInfo("UTC"))
    except OverflowError as error:
        raise _RowError("time_invalid", f"date and time are {stated[:60]!r}, out of range.") from error


def _stamp(row: dict[str, Any], key: str) -> datetime | None:
    stated = row.get(key)
    if stated is None:
        return None
    invalid = _RowError("stamp_invalid", f"{key} is {str(stated)[:60]!r}, not ISO 8601 with an offset.")
    try:
        moment = datetime.fromisoformat(stated)
        if moment.tzinfo is None:
            raise invalid
        return moment.astimezone(ZoneInfo("UTC"))
    except (TypeError, ValueError, OverflowError) as error:
        raise invalid from error


def _hold_against_stated(row: dict[str, Any], draw: Draw) -> None:
    """Compare what the row states besides its digits with what follows from them."""
    if row.get("keno") is not None:
        derived = _digits_of_keno(row["keno"])
        if derived != draw.numbers:
            raise _RowError("keno_mismatch", f"The keno draw gives {derived}, the row says {draw.numbers}.")
    for key in ("sum", "num"):
        stated = _integer(row.get(key))
        if stated is not None and stated != draw.sum_value:
            raise _RowError("sum_mismatch", f"{key} is {stated}, the digits {draw.numbers} give {draw.sum_value}.")
    combination = row.get("combination")
    derived_combination = COMBINATIONS[draw.big_small, draw.odd_even]
    if combination is not None and combination != derived_combination:
        raise _RowError(
            "combination_mismatch",
            f"combination is {str(combination)[:20]!r}, the sum {draw.sum_value} is {derived_combination}.",
        )


def _digits_of_keno(stated: Any) -> Digits:
    parts = stated.split(",") if isinstance(stated, str) else stated
    balls = [_integer(part) for part in parts] if isinstance(parts, list) else []
    try:
        return digits_of([ball for ball in balls if ball is not None])
    except ValueError as error:
        raise _RowError("keno_invalid", str(error)[:300]) from error


def _newest_of_each(draws: Iterable[Draw]) -> tuple[tuple[Draw, ...], list[tuple[Draw, str]]]:
    """Keep one draw of each period: the newest version; none when two equally new ones disagree."""
    by_period: dict[int, list[Draw]] = {}
    for draw in draws:
        by_period.setdefault(draw.period, []).append(draw)
    kept: list[Draw] = []
    conflicting: list[tuple[Draw, str]] = []
    for period, versions in sorted(by_period.items()):
        newest = max(draw.version for draw in versions)
        candidates = [draw for draw in versions if draw.version == newest]
        if len({(draw.timestamp, draw.numbers) for draw in candidates}) == 1:
            kept.append(candidates[0])
        else:
            detail = f"{len(candidates)} rows of period {period} disagree and none is newer."
            conflicting += [(draw, detail) for draw in candidates]
    return tuple(kept), conflicting


def _as_row(draw: Draw) -> dict[str, Any]:
    local = draw.timestamp.astimezone(FEED_TIMEZONE)
    return {
        "nbr": draw.period,
        "number": "+".join(map(str, draw.numbers)),
        "date": f"{local:%F}",
        "time": f"{local:%T}",
    }


def _reject(row: Any, reason: str, detail: str) -> Rejected:
    # Sorted keys: the same row keeps its id when the feed changes the order of its fields.
    text = json.dumps(row, ensure_ascii=False, sort_keys=True)[:RAW_LIMIT]
    raw = text.encode("utf-8", "replace").decode()  # JSON may escape half a surrogate pair, which no database accepts
    period = _integer(row.get("nbr")) if isinstance(row, dict) else None
    return Rejected(reason, detail, raw, period if period is not None and 0 < period <= MAX_PERIOD else None)
