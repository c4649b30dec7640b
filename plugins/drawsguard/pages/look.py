"""How pages speak: Chinese or English, numbers with separators, times in business time; and their templates."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import lru_cache
from typing import Any, Literal, NamedTuple
from zoneinfo import ZoneInfo

from drawsguard.settings import INCLUDE, get_settings
from drawsguard.templates import render_template

Language = Literal["zh", "en"]

#: Style sheet and script of the pages.
STATIC = INCLUDE / "static" / "pages"


class Words(NamedTuple):
    """A text in both languages."""

    zh: str
    en: str


#: What the states of runs, of planned rows and of tickets, and who does a ticket, are called.
STATES = {
    "queued": Words("排队中", "queued"),
    "running": Words("运行中", "running"),
    "success": Words("成功", "succeeded"),
    "failed": Words("失败", "failed"),
    "planned": Words("已计划", "planned"),
    "removed": Words("已剔除", "removed"),
    "downlined": Words("−80", "−80"),
    "restored": Words("已恢复", "restored"),
    "open": Words("待清理", "open"),
    "handed_over": Words("已移交", "handed over"),
    "incomplete": Words("未清完", "incomplete"),
    "done": Words("已完成", "done"),
    "withdrawn": Words("已撤回", "withdrawn"),
    "own": Words("自动", "automatic"),
    "dba": Words("DBA", "DBA"),
}


@lru_cache(maxsize=16)
def _version(path: str, _modified: float) -> str:
    return hashlib.sha256((STATIC / path).read_bytes()).hexdigest()[:12]


@dataclass(frozen=True)
class Look:
    """What a template needs to speak to one reader.

    :param base: the path of the pages below the server, without a slash at its end.
    :param airflow: the same of Airflow's own pages.
    """

    language: Language
    base: str
    airflow: str

    def t(self, zh: str, en: str) -> str:
        """Return the text in the reader's language."""
        return en if self.language == "en" else zh

    def say(self, words: Words) -> str:
        """Return the words in the reader's language."""
        return self.t(*words)

    def state(self, name: str | None) -> str:
        """Return a state in words; one without words as it is stored, a dash for none."""
        return self.say(STATES.get(name, Words(name, name))) if name else "–"

    def when(self, moment: datetime | None) -> str:
        """Return a time as business time, to the minute; naive times are UTC."""
        if moment is None:
            return "–"
        aware = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
        return f"{aware.astimezone(ZoneInfo(get_settings().business_timezone)):%Y-%m-%d %H:%M}"

    def zone(self) -> str:
        """Return the name of the zone that `when` uses."""
        name = get_settings().business_timezone
        return self.t("北京时间", "Beijing time") if name == "Asia/Shanghai" else name

    def number(self, value: float | None) -> str:
        """Return a number with thousands separators; a dash for nothing."""
        if value is None:
            return "–"
        return f"{value:,.1f}" if isinstance(value, float) and not value.is_integer() else f"{int(value):,}"

    def lasting(self, span: timedelta | None) -> str:
        """Return a length of time in words, in its largest unit."""
        if span is None:
            return "–"
        seconds = max(0, int(span.total_seconds()))
        for size, zh, en in ((86400, "天", "d"), (3600, "小时", "h"), (60, "分钟", "min")):
            if seconds >= size:
                return f"{seconds // size} {self.t(zh, en)}"
        return f"{seconds} {self.t('秒', 's')}"

    def dag(self, dag_id: str) -> str:
        """Return the address of a DAG's page, from which it is triggered."""
        return f"{self.airflow}/dags/{dag_id}"

    def static(self, path: str) -> str:
        """Return the address of a static file; it changes with its content."""
        return f"{self.base}/static/{path}?v={_version(path, (STATIC / path).stat().st_mtime)}"

    def render(self, template: str, /, **values: Any) -> str:
        """Return ``include/templates/pages/<template>`` filled in; every value is escaped."""
        names: dict[str, Callable[..., Any] | str] = {
            "t": self.t, "say": self.say, "state_of": self.state, "when": self.when, "zone": self.zone,
            "number": self.number, "lasting": self.lasting, "dag": self.dag, "static": self.static, "base": self.base,
            "airflow": self.airflow, "language": self.language,
        }  # fmt: skip
        return render_template(f"pages/{template}", **names, **values)


def business_day(moment: datetime) -> date:
    """Return the business day of an aware time."""
    return moment.astimezone(ZoneInfo(get_settings().business_timezone)).date()
