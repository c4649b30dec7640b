"""The simulated feed: repeatable, consecutive, true to its calendar, and each fault can be seen."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from drawsguard.draws.keno import digits_of
from local.feed.simulator import NO_FAULTS, Era, FaultRates, FeedConfig, Simulator

DAY = timedelta(days=1)
T0 = datetime(2025, 10, 1, tzinfo=UTC)
BEIJING = ZoneInfo("Asia/Shanghai")


def periods_of(rows: list[Any]) -> list[Any]:
    return [row.get("nbr") for row in rows if isinstance(row, dict)]


def with_rates(**rates: Any) -> Simulator:
    return Simulator(FeedConfig(rates=FaultRates(**{**vars(NO_FAULTS), **rates})))


def test_the_same_seed_tells_the_same_story_in_any_order() -> None:
    one, other = Simulator(FeedConfig(seed=7)), Simulator(FeedConfig(seed=7))
    periods = list(one.periods(T0, T0 + DAY))
    shuffled = random.Random(1).sample(periods, len(periods))
    backwards = {period: other.draw(period) for period in shuffled}
    assert [one.draw(period) for period in periods] == [backwards[period] for period in periods]
    assert one.visible(T0) == other.visible(T0)
    assert [draw.keno for draw in one.draws(T0, T0 + DAY)] != [
        draw.keno for draw in Simulator(FeedConfig(seed=8)).draws(T0, T0 + DAY)
    ]


def test_periods_are_consecutive_through_a_year_and_its_clock_changes() -> None:
    calendar = Simulator().calendar
    periods = calendar.periods(datetime(2025, 1, 1, tzinfo=UTC), datetime(2026, 1, 1, tzinfo=UTC))
    times = [calendar.locate(period)[0] for period in periods]
    gaps = [(later - earlier, later) for earlier, later in pairwise(times)]
    pauses = [(gap, later) for gap, later in gaps if gap != timedelta(seconds=210)]
    assert len(pauses) == 365
    assert all(timedelta(minutes=57) < gap <= timedelta(minutes=94) for gap, _ in pauses)
    assert {later.astimezone(BEIJING).hour for _, later in pauses if later.month in (6, 7)} == {20}
    assert {later.astimezone(BEIJING).hour for _, later in pauses if later.month in (1, 12)} == {21}
    assert all((gap > timedelta(minutes=80)) == (later.weekday() == 0) for gap, later in pauses)


@pytest.mark.parametrize(
    ("day", "first_after"),
    [
        ("2025-03-08", "2025-03-08 21:00"),
        ("2025-03-09", "2025-03-09 20:00"),
        ("2025-11-01", "2025-11-01 20:00"),
        ("2025-11-02", "2025-11-02 21:00"),
        ("2025-11-03", "2025-11-03 21:30"),
    ],
)
def test_maintenance_on_the_days_when_the_clocks_change(day: str, first_after: str) -> None:
    start = datetime.fromisoformat(day).replace(tzinfo=BEIJING)
    evening = [d.timestamp for d in Simulator().draws(start + timedelta(hours=18), start + DAY)]
    resumed = next(later for earlier, later in pairwise(evening) if later - earlier > timedelta(minutes=30))
    assert resumed == datetime.fromisoformat(first_after).replace(tzinfo=BEIJING)


def test_about_as_many_draws_a_day_as_the_real_feed() -> None:
    counts = {len(Simulator().periods(T0 + n * DAY, T0 + (n + 1) * DAY)) for n in range(7)}
    assert counts <= set(range(385, 412))


def test_every_draw_lies_in_the_span_it_is_asked_for() -> None:
    feed = Simulator()
    for start in (T0, T0 + timedelta(hours=11, minutes=30), T0 + timedelta(seconds=1)):
        end = start + timedelta(hours=5)
        times = [draw.timestamp for draw in feed.draws(start, end)]
        assert start <= min(times)
        assert max(times) < end
        before, after = feed.periods(start - DAY, start), feed.periods(end, end + DAY)
        assert list(before)[-1] + 1 == feed.periods(start, end)[0]
        assert feed.periods(start, end)[-1] + 1 == after[0]


def test_digits_follow_the_keno_draw() -> None:
    for truth, draw in zip(Simulator().truth(T0, T0 + DAY), Simulator().draws(T0, T0 + DAY), strict=True):
        assert truth.numbers == digits_of(draw.keno)


def test_an_era_shortens_the_cadence_and_keeps_periods_consecutive() -> None:
    start = datetime(2025, 10, 1, 11, 30, tzinfo=UTC)  # within maintenance
    feed = Simulator(FeedConfig(eras=(Era(start, 20), Era(start + timedelta(minutes=10), 60))))
    draws = list(feed.draws(start - timedelta(hours=1), start + timedelta(minutes=20)))
    assert [draw.period for draw in draws] == list(range(draws[0].period, draws[0].period + len(draws)))
    fresh = [draw.timestamp for draw in draws if draw.timestamp >= start]
    assert fresh[:3] == [start, start + timedelta(seconds=20), start + timedelta(seconds=40)]
    assert len(fresh) == 30 + 10
    assert [draw for draw in draws if draw.timestamp < start] == list(Simulator().draws(draws[0].timestamp, start))


def test_history_begins_where_it_is_told() -> None:
    feed = Simulator(FeedConfig(since=T0))
    assert list(feed.draws(T0 - 9 * DAY, T0)) == []
    assert next(feed.draws(T0 - 9 * DAY, T0 + DAY)).timestamp >= T0
    with pytest.raises(ValueError, match="begins with period"):
        feed.calendar.locate(1)


# --- faults -----------------------------------------------------------------------------------------
def test_without_faults_the_feed_shows_the_truth() -> None:
    feed = with_rates()
    at = T0 + timedelta(minutes=1)
    rows = list(feed.history(T0 - DAY, T0, at))
    truth = list(feed.truth(T0 - DAY, T0))
    assert truth == list(feed.truth(T0 - DAY, T0, as_of=at))
    shown = [(row["nbr"], row.get("number", row.get("num"))) for row in rows]
    assert shown == [(draw.period, "+".join(map(str, draw.numbers))) for draw in truth]
    assert periods_of(feed.visible(at)) == [draw.period for draw in reversed(truth[-100:])]


def test_a_late_draw_appears_when_it_is_published() -> None:
    feed = with_rates(late=1.0)
    draw = next(feed.draws(T0, T0 + DAY))
    assert timedelta(seconds=60) <= draw.published_at - draw.timestamp <= timedelta(seconds=900)
    before = draw.published_at - timedelta(milliseconds=1)
    for at, present in ((before, False), (draw.published_at, True)):
        assert (draw.period in periods_of(feed.visible(at))) is present
        assert (draw.period in periods_of(list(feed.history(T0, T0 + DAY, at)))) is present
        assert (draw.period in [t.period for t in feed.truth(T0, T0 + DAY, as_of=at)]) is present


def test_a_corrected_draw_changes_its_value_and_says_when() -> None:
    feed = with_rates(corrected=1.0)
    draw = next(feed.draws(T0, T0 + DAY))
    assert draw.corrected_at is not None
    (early,) = feed.history(draw.timestamp, draw.timestamp + timedelta(seconds=1), draw.published_at)
    (final,) = feed.history(draw.timestamp, draw.timestamp + timedelta(seconds=1), draw.corrected_at)
    assert early["updated_at"] is None
    assert early["keno"] != final["keno"]
    assert final["updated_at"] == draw.corrected_at.isoformat()
    known = next(feed.truth(T0, T0 + DAY, as_of=draw.published_at + timedelta(seconds=1)))
    truth = next(feed.truth(T0, T0 + DAY))
    assert known.updated_at is None
    assert truth.updated_at == draw.corrected_at
    assert truth.numbers == digits_of(draw.keno)


def test_a_duplicated_draw_is_shown_twice() -> None:
    rows = with_rates(duplicated=1.0).visible(T0, limit=5)
    assert len(rows) == 10
    assert rows[0::2] == rows[1::2]


def test_a_malformed_row_stands_beside_the_good_one() -> None:
    feed = with_rates(malformed=1.0)
    rows = feed.visible(T0, limit=60)
    assert len(rows) == 120
    assert {draw.malformed for draw in feed.draws(T0, T0 + DAY)} == set(range(8)), "every kind occurs"
    clean = with_rates().visible(T0, limit=60)
    assert rows[1::2] == clean
    assert all(bad != good for bad, good in zip(rows[0::2], clean, strict=True))


def test_a_draw_that_only_the_history_shows() -> None:
    feed = with_rates(history_only=1.0)
    assert feed.visible(T0) == []
    truth = [draw.period for draw in feed.truth(T0 - DAY, T0 - timedelta(minutes=1))]
    assert periods_of(list(feed.history(T0 - DAY, T0 - timedelta(minutes=1), T0))) == truth


def test_an_unpublished_draw_is_true_and_never_shown() -> None:
    feed = with_rates(unpublished=1.0)
    assert feed.visible(T0) == []
    assert list(feed.history(T0 - DAY, T0, T0)) == []
    assert list(feed.truth(T0 - DAY, T0, as_of=T0)) == []
    assert len(list(feed.truth(T0 - DAY, T0))) > 300


def test_faults_befall_about_as_many_draws_as_configured() -> None:
    feed = with_rates(late=0.1, corrected=0.2, duplicated=0.3)
    draws = list(feed.draws(T0, T0 + 10 * DAY))
    share = {
        "late": sum(d.published_at - d.timestamp > timedelta(seconds=30) for d in draws) / len(draws),
        "corrected": sum(d.corrected_at is not None for d in draws) / len(draws),
        "duplicated": sum(d.duplicated for d in draws) / len(draws),
    }
    assert share == pytest.approx({"late": 0.1, "corrected": 0.2, "duplicated": 0.3}, abs=0.02)


def test_in_an_era_faults_last_as_much_shorter_as_its_interval() -> None:
    rates = FaultRates(**{**vars(NO_FAULTS), "late": 1.0, "corrected": 1.0})
    feed = Simulator(FeedConfig(rates=rates, eras=(Era(T0, 21),)))
    for draw in feed.draws(T0, T0 + timedelta(hours=1)):
        assert draw.published_at - draw.timestamp <= timedelta(seconds=90)
        assert draw.corrected_at is not None
        assert draw.corrected_at - draw.published_at <= timedelta(seconds=720)


def test_an_outage_befalls_every_answer_in_its_window() -> None:
    feed = Simulator(FeedConfig(outages=((T0, T0 + timedelta(hours=9)),)))
    assert feed.answer_fault(T0 - timedelta(seconds=1)) is None
    assert feed.answer_fault(T0) == "outage"
    assert feed.answer_fault(T0 + timedelta(hours=9)) is None


def test_answers_fail_by_chance_and_repeatably() -> None:
    feed = Simulator(FeedConfig(answer_fault_rate=0.3))
    moments = [T0 + n * timedelta(seconds=10) for n in range(1000)]
    kinds = [feed.answer_fault(at) for at in moments]
    assert kinds == [feed.answer_fault(at) for at in moments]
    assert set(kinds) == {None, "error", "garbage", "empty"}
    assert sum(kind is not None for kind in kinds) / 1000 == pytest.approx(0.3, abs=0.05)
