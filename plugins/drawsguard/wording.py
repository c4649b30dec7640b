"""Numbers, times, durations and lines as people read them, for mails, alerts and reports."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta
from typing import NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.settings import get_settings

#: What people call a zone. Its abbreviation is not one: CST is China's and US Central's.
ZONE_NAMES = {"Asia/Shanghai": "北京时间", "UTC": "UTC"}

#: Characters of direction: they reorder what follows. For a class of a regular expression.
DIRECTION = r"\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069"
#: Line breaks of every kind, and control characters.
_BREAKS = re.compile(rf"[\x00-\x1f\x7f-\x9f\u2028\u2029{DIRECTION}]+")

_UNITS = ((86_400, "天", "day"), (3_600, "小时", "hour"), (60, "分钟", "minute"), (1, "秒", "second"))


def one_line(value: object) -> str:
    """Return the text of ``value`` on one line: line breaks and control characters become spaces."""
    return _BREAKS.sub(" ", str(value)).strip()


def in_business_time(value: datetime) -> datetime:
    """Return a moment in business time.

    :param value: aware, or naive UTC as MySQL keeps it.
    """
    aware = value if value.tzinfo else value.replace(tzinfo=UTC)
    return aware.astimezone(ZoneInfo(get_settings().business_timezone))


def zone_name() -> str:
    """Return what the zone of business time is called."""
    zone = get_settings().business_timezone
    return ZONE_NAMES.get(zone, zone)


def moment(value: datetime | str | None) -> str:
    """Return a moment with its zone: ``2025-10-03 09:05 北京时间``, with seconds where it has some.

    :param value: aware, or naive UTC, or either as ISO text; None is a dash, and any other text stays as it is.
    """
    if value is None:
        return "—"
    if isinstance(value, str):
        try:
            return moment(datetime.fromisoformat(value)) if ":" in value else value
        except ValueError:
            return value
    local = in_business_time(value)
    return f"{local:%Y-%m-%d %H:%M:%S}".removesuffix(":00") + f" {zone_name()}"


def business_moment(value: datetime | str) -> str:
    """Return a moment that is naive business time already, as the usage statistics have it, with its zone."""
    if not isinstance(value, datetime):
        return value
    return moment(value.replace(tzinfo=ZoneInfo(get_settings().business_timezone)))


def span(start: datetime, end: datetime) -> str:
    """Return an interval with its zone, the day of its end only where it is another: ``2025-10-03 09:00–09:05``."""
    first, last = in_business_time(start), in_business_time(end)
    day = "" if first.date() == last.date() else f"{last:%Y-%m-%d} "
    return f"{first:%Y-%m-%d %H:%M}–{day}{last:%H:%M} {zone_name()}"


def number(value: float | None) -> str:
    """Return a number with thousands separators; None is a dash."""
    if value is None:
        return "—"
    return f"{int(value):,}" if value == int(value) else f"{value:,}"


def duration_zh(seconds: float | timedelta) -> str:
    """Return a duration in Chinese words: its two largest units, e.g. ``1 小时 5 分钟``."""
    return " ".join(f"{count:,} {zh}" for count, zh, _ in _parts(seconds))


def duration_en(seconds: float | timedelta) -> str:
    """Return a duration in English words: its two largest units, e.g. ``1 hour 5 minutes``."""
    return " ".join(f"{count:,} {en}{'' if count == 1 else 's'}" for count, _, en in _parts(seconds))


def duration(seconds: float | timedelta) -> str:
    """Return a duration in both languages."""
    return f"{duration_zh(seconds)} {duration_en(seconds)}"


def _parts(seconds: float | timedelta) -> list[tuple[float, str, str]]:
    exact = seconds.total_seconds() if isinstance(seconds, timedelta) else float(seconds)
    if 0 < abs(exact) < 10 and round(exact, 1) != round(exact):
        return [(round(exact, 1), "秒", "second")]
    left = round(abs(exact))
    parts: list[tuple[float, str, str]] = []
    for size, zh, en in _UNITS:
        count, left = divmod(left, size)
        if parts or count:
            parts.append((count, zh, en))
    return [part for part in parts[:2] if part[0]] or [(0, "秒", "second")]


def cell(value: object) -> str:
    """Return a value of a report's table: what is missing as a dash, truth in words, numbers and times as above."""
    if value is None or value == "":
        return "—"
    if isinstance(value, bool):
        return "是 yes" if value else "否 no"
    if isinstance(value, int | float):
        return number(round(value, 3) if isinstance(value, float) else value)
    if isinstance(value, datetime):
        return moment(value)
    return value.isoformat() if isinstance(value, date) else str(value)


class Urgency(NamedTuple):
    """What a priority asks of people, in words."""

    zh: str
    en: str
    act_zh: str
    act_en: str


#: By priority.
URGENCIES = {
    "P0": Urgency("紧急", "urgent", "立即处理", "act now"),
    "P1": Urgency("重要", "important", "今天处理，夜间可等到早上", "act today; at night it may wait for the morning"),
    "P2": Urgency("一般", "minor", "可以等到下个工作日", "it may wait for the next working day"),
}


#: By these names templates use them.
FILTERS = {
    "moment": moment,
    "business_moment": business_moment,
    "number": number,
    "duration": duration,
    "duration_zh": duration_zh,
    "duration_en": duration_en,
    "cell": cell,
}
