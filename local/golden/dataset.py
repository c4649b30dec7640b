"""The golden case: usage and definitions of both environments that end in the numbers of the batch of 2024-08-02.

Everything follows from the last day of the statistics window; nothing is random.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from typing import NamedTuple

from drawsguard.points.review.evidence import Window

#: Last day of the statistics window of the original batch.
ORIGINAL_LAST_DAY = date(2024, 7, 30)
WINDOW_DAYS = 180
#: Rows of the statistics, as the original had them.
METRIC_ROWS = 20_179

#: Confirmed points by cluster: table, intranet, extranet.
CONFIRMED = {
    "redis_evt_A": ("define_nosdata_general", 187, 111),
    "redis_evt_AA": ("define_nosdata_general", 58, 58),
    "redis_evt_old": ("define_nosdata_general", 85, 85),
    "redis_mq": ("define_nosdata_mqzdr", 934, 893),
    "redis_flag": ("define_nosdata_flag", 13, 13),
}
#: Tags that end at -80: intranet, extranet.
TAGS = {"define_nostag_general": (12, 15), "define_nostag_mqzdr": (37, 36), "define_nostag_flag": (2, 2)}

#: The result of the original batch.
EXPECTED = {
    "intranet": {
        "points": {
            "total": 1277,
            "by_cluster": {cluster: inside for cluster, (_, inside, _) in sorted(CONFIRMED.items())},
            "by_table": {"define_nosdata_flag": 13, "define_nosdata_general": 330, "define_nosdata_mqzdr": 934},
        },
        "tags": {"total": 51, "by_cluster": {}, "by_table": {t: inside for t, (inside, _) in sorted(TAGS.items())}},
    },
    "extranet": {
        "points": {
            "total": 1160,
            "by_cluster": {cluster: outside for cluster, (_, _, outside) in sorted(CONFIRMED.items())},
            "by_table": {"define_nosdata_flag": 13, "define_nosdata_general": 254, "define_nosdata_mqzdr": 893},
        },
        "tags": {"total": 53, "by_cluster": {}, "by_table": {t: outside for t, (_, outside) in sorted(TAGS.items())}},
    },
}

_PREFIX = {"define_nosdata_general": 100_000, "define_nosdata_mqzdr": 200_000, "define_nosdata_flag": 300_000}
_OWNERS = ("chenwei", "liuyang", "wangfang", "zhaomin", "sunlei", "zhoujie", "")


class PointRow(NamedTuple):
    """One row of a define_nosdata_* table."""

    id: int
    status: int
    people: str
    lv1: str
    lv2: str
    description: str
    table: str
    modeltype: str
    cluster: str
    demand: str | None
    last_modify_time: datetime
    created_time: datetime


class TagRow(NamedTuple):
    """One row of a define_nostag_* table."""

    id: int
    status: int
    name: str
    people: str
    eids: str
    last_modify_time: datetime


@dataclass
class Environment:
    """The definition tables of one environment."""

    points: dict[str, list[PointRow]] = field(default_factory=lambda: {table: [] for table in _PREFIX})
    tags: dict[str, list[TagRow]] = field(default_factory=lambda: {table: [] for table in TAGS})


@dataclass
class Golden:
    """The whole case: definitions, usage, and which candidates the reviewers confirm."""

    window: Window
    intranet: Environment
    extranet: Environment
    metrics: list[tuple[str, datetime, int]]
    confirmed: list[int]

    def cluster_of(self) -> dict[int, str]:
        """Return the cluster of each point of the intranet."""
        return {row.id: row.cluster for rows in self.intranet.points.values() for row in rows}


class _Builder:
    def __init__(self, last: date, window_days: int) -> None:
        self.window = Window.ending(last, window_days)
        self.days_of_use = min(150, window_days - 1)
        self.intranet, self.extranet = Environment(), Environment()
        self.metrics: list[tuple[str, datetime, int]] = []
        self.next_id = dict(_PREFIX)
        self.next_tag = 1000
        self.old = self.window.start - timedelta(days=700)

    def point(self, table: str, cluster: str, **changes: object) -> PointRow:
        self.next_id[table] += 1
        number = self.next_id[table]
        family = table.rsplit("_", 1)[1]
        row = PointRow(
            id=number,
            status=1 + number % 2,
            people=_OWNERS[number % len(_OWNERS)],
            lv1=f"业务{number % 5}",
            lv2=f"模块{number % 11}",
            description=f"积分 {number} 的说明" if number % 97 else f"=SUM({number})",
            table=f"evt_{family}",
            modeltype="normal",
            cluster=cluster,
            demand=f"REQ-{number % 300}" if number % 3 else None,
            last_modify_time=self.old + timedelta(minutes=number % 100_000),
            created_time=self.old - timedelta(days=number % 400),
        )
        return row._replace(**changes)  # type: ignore[arg-type]

    def both(self, table: str, row: PointRow) -> PointRow:
        self.intranet.points[table].append(row)
        self.extranet.points[table].append(row)
        return row

    def use(self, oper_type: str, number: int) -> None:
        seen = datetime.combine(self.window.last, time.min) - timedelta(
            days=number % self.days_of_use, minutes=number % 1440
        )
        self.metrics.append((oper_type, seen, 1 + number % 5000))

    def tag(self, table: str, inside: Iterable[int] | None, outside: Iterable[int] | None, status_out: int = 1) -> None:
        """Add a tag with its members in each environment; None leaves it out there."""
        self.next_tag += 1
        number = self.next_tag
        for environment, members, status in ((self.intranet, inside, 1), (self.extranet, outside, status_out)):
            if members is not None:
                eids = ",".join(map(str, members))
                row = TagRow(number, status, f"积分域 {number}", _OWNERS[number % 7], eids, self.old)
                environment.tags[table].append(row)


def build(last: date = ORIGINAL_LAST_DAY, window_days: int = WINDOW_DAYS) -> Golden:
    """Return the golden case with its statistics window of ``window_days`` ending on ``last``."""
    b = _Builder(last, window_days)
    confirmed: dict[str, list[int]] = {table: [] for table in _PREFIX}
    shared: dict[str, list[int]] = {table: [] for table in _PREFIX}
    for cluster, (table, inside, outside) in CONFIRMED.items():
        for number in range(inside):
            row = b.point(table, cluster)
            confirmed[table].append(row.id)
            b.intranet.points[table].append(row)
            if number % 100 == 7:  # some ids have two live rows
                second = row._replace(description=f"{row.description}(旧)", status=3)
                b.intranet.points[table].append(second)
            if number < outside:
                shared[table].append(row.id)
                b.extranet.points[table].append(row)
            elif number % 2:  # of those that differ, half are missing there and half are dead already
                b.extranet.points[table].append(row._replace(status=0 if number % 4 == 1 else -80))
    used = _living_points(b)
    _tags(b, confirmed, shared, used)
    return Golden(b.window, b.intranet, b.extranet, _filled(b), sorted(p for ids in confirmed.values() for p in ids))


def _living_points(b: _Builder) -> dict[str, list[int]]:
    """Add the points that are not candidates, or that the reviewers keep."""
    clusters = {
        "define_nosdata_general": ("redis_evt_A", "redis_evt_AA", "redis_evt_old"),
        "define_nosdata_mqzdr": ("redis_mq",),
        "define_nosdata_flag": ("redis_flag",),
    }
    used: dict[str, list[int]] = {}
    for table, number_used, kept in (
        ("define_nosdata_general", 1500, 60),
        ("define_nosdata_mqzdr", 2600, 90),
        ("define_nosdata_flag", 60, 6),
    ):
        names = clusters[table]
        used[table] = []
        for number in range(number_used):
            row = b.both(table, b.point(table, names[number % len(names)]))
            used[table].append(row.id)
            b.use(f"que_eid_{row.id}", row.id)
            b.use(f"upd_eid_{row.id}", row.id + 1)
        for number in range(kept):
            row = b.both(table, b.point(table, names[number % len(names)]))
            if number % 3 == 1:
                b.use(f"que_eid_{row.id}", row.id)
            elif number % 3 == 2:
                b.use(f"upd_eid_{row.id}", row.id)
        # Unused, and yet never candidates: another cluster, another model, too young, dead already.
        for number in range(20):
            b.both(table, b.point(table, "ssdb_evt_B" if number % 2 else "redis_fish"))
            b.both(table, b.point(table, names[0], modeltype="period"))
            b.both(table, b.point(table, names[0], created_time=b.window.start + timedelta(days=number)))
            b.both(table, b.point(table, names[0], status=-80 if number % 2 else 0))
    return used


def _tags(
    b: _Builder, confirmed: dict[str, list[int]], shared: dict[str, list[int]], used: dict[str, list[int]]
) -> None:
    for data, tags, alike, gone, fewer in (
        # alike: all members in the batch in both; gone: on the intranet only; fewer: on the extranet only
        ("define_nosdata_general", "define_nostag_general", 11, 1, 4),
        ("define_nosdata_mqzdr", "define_nostag_mqzdr", 35, 2, 1),
        ("define_nosdata_flag", "define_nostag_flag", 2, 0, 0),
    ):
        only_inside = [point for point in confirmed[data] if point not in set(shared[data])]
        pool = iter(shared[data])
        for number in range(alike):
            members = [next(pool) for _ in range(2 if data.endswith("flag") else 4)]
            extra = only_inside[number : number + 1]
            b.tag(tags, members + extra, members)
        for number in range(gone):
            members = [next(pool), next(pool)]
            if number == 0 and data.endswith("general"):
                b.tag(tags, members, None)
            elif number == 0:
                b.tag(tags, members, members, status_out=0)
            else:
                b.tag(tags, members, [*members, used[data][5]])
        for number in range(fewer):
            members = [next(pool), next(pool), next(pool)]
            b.tag(tags, [*members, used[data][10 + number]], members)
        # Tags in use: their points are used through them only, so none of these is a candidate.
        for _ in range(8):
            rows = [b.both(data, b.point(data, _cluster(data))) for _ in range(5)]
            b.tag(tags, [row.id for row in rows], [row.id for row in rows])
            b.use(f"que_tag_{b.next_tag}", b.next_tag)
            b.use(f"upd_tag_{b.next_tag}", b.next_tag + 7)
        # Living tags that hold confirmed points beside points in use: they stay.
        for number in range(40 if not data.endswith("flag") else 6):
            members = [confirmed[data][-1 - number % 10], used[data][number], used[data][number + 1]]
            b.tag(tags, members, members)
        for number in range(20):  # and living tags that are unrelated to the batch
            members = used[data][number : number + 3]
            b.tag(tags, members, members)


def _cluster(table: str) -> str:
    return next(cluster for cluster, (name, _, _) in CONFIRMED.items() if name == table)


def _filled(b: _Builder) -> list[tuple[str, datetime, int]]:
    """Fill the statistics up with points that other systems define."""
    missing = METRIC_ROWS - len(b.metrics)
    if missing < 0:
        raise ValueError(f"the golden case has {len(b.metrics)} metrics, more than {METRIC_ROWS}")
    for number in range(missing):
        b.use(f"{'que' if number % 2 else 'upd'}_eid_{900_000 + number // 2}", number)
    return b.metrics
