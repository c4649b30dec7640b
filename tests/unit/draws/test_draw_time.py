"""The rule for a draw's time, without a warehouse: who is believed, and who is out of place."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from drawsguard.draws.draw_time import Fit, fits, least_distance, out_of_place, sure_times
from drawsguard.draws.model import MAX_PERIOD

INTERVAL = timedelta(seconds=210)
T0 = datetime(2025, 10, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def at(period: int, **moved: float) -> datetime:
    return T0 + (period - 1000) * INTERVAL + timedelta(**moved)


def draws(*periods: int) -> dict[int, datetime]:
    return {period: at(period) for period in periods}


STORED = draws(*range(1000, 1020), *range(1021, 1040))


def test_draws_at_the_cadence_fit_and_so_does_any_pause() -> None:
    paused = STORED | {period: at(period, days=400) for period in range(1040, 1050)}
    assert set(fits(paused, INTERVAL).values()) == {Fit.SURE}
    assert fits({}, INTERVAL) == {}


@pytest.mark.parametrize("moved", [{"minutes": 3}, {"minutes": -3}, {"seconds": 20}, {}])
def test_a_time_between_the_neighbours_is_plausible(moved: dict[str, float]) -> None:
    assert out_of_place({1020: at(1020, **moved)}, STORED, INTERVAL) == {}


@pytest.mark.parametrize("moved", [{"days": 3}, {"days": -3}, {"days": -10}, {"minutes": 15}, {"minutes": -15}])
@pytest.mark.parametrize("period", [1020, 1010])
def test_a_time_beyond_a_neighbour_is_out_of_place_and_the_neighbour_is_named(
    period: int, moved: dict[str, float]
) -> None:
    """A new draw, and a version of one that is stored: its own old time has no say."""
    (found,) = out_of_place({period: at(period, **moved)}, STORED, INTERVAL).items()
    neighbour = period + 1 if sum(moved.values()) > 0 else period - 1
    side = "earlier" if neighbour > period else "later"
    assert found[0] == period
    assert f"draw {neighbour} was drawn at {at(neighbour).isoformat()}" in found[1]
    assert found[1].endswith(f"or {side}.")


def test_after_an_outage_a_block_of_draws_that_is_dated_a_day_early_is_refused() -> None:
    late = {period: at(period) for period in range(1300, 1400)}
    assert out_of_place(late, STORED, INTERVAL) == {}
    early = {period: drawn_at - DAY for period, drawn_at in late.items()}
    assert set(out_of_place(early, STORED, INTERVAL)) == set(early)
    assert least_distance(500, INTERVAL) > timedelta(hours=1)


def test_many_wrong_versions_do_not_outvote_what_is_stored() -> None:
    moved = {period: at(period, days=-1) for period in range(1005, 1039)}
    assert set(out_of_place(moved, STORED, INTERVAL)) == set(moved)


def test_one_wrong_draw_that_got_in_keeps_no_right_one_out() -> None:
    stored = STORED | {1019: at(1019, minutes=30)}
    assert out_of_place(draws(1020), stored, INTERVAL) == {}
    assert out_of_place({1019: at(1019)}, stored, INTERVAL) == {}, "its correction"


def test_one_stored_draw_alone_refuses_none() -> None:
    """It may be the wrong one although it fits all other stored draws: the one that it contradicts is not there yet."""
    stored = {period: drawn_at for period, drawn_at in STORED.items() if period != 1022}
    assert out_of_place({1022: at(1022)}, stored | {1021: at(1022, seconds=60)}, INTERVAL) == {}


def test_a_draw_with_too_great_a_period_refuses_none_that_follow() -> None:
    stored = draws(*range(1000, 1060)) | {1160: at(1060, hours=1)}
    assert out_of_place({period: at(period, hours=1) for period in range(1060, 1090)}, stored, INTERVAL) == {}


@pytest.mark.parametrize("period", [10**8, 10**10, 10**14, MAX_PERIOD])
@pytest.mark.parametrize("stored", [{}, STORED], ids=["nothing is stored", "stored"])
def test_a_period_beyond_any_calendar_is_refused_alone(period: int, stored: dict[int, datetime]) -> None:
    incoming = draws(*range(1060, 1064)) | {period: at(1064)}
    refused = out_of_place(incoming, stored, INTERVAL)
    assert list(refused) == [period]
    assert f"so draw {period} is expected" in refused[period]


def test_neighbours_that_are_corrected_together_are_not_held_against_their_old_times() -> None:
    together = {period: at(period, seconds=240) for period in range(1030, 1040)}
    assert out_of_place(together, STORED, INTERVAL) == {}


def test_two_stored_draws_are_no_witnesses_and_one_word_stands_against_another() -> None:
    stored = {1000: at(1000), 1001: at(1001, days=3)}
    assert out_of_place(draws(*range(1002, 1010)), stored, INTERVAL) == {}
    assert out_of_place({1001: at(1001, days=-3)}, {1000: at(1000)}, INTERVAL) == {}


def test_within_one_answer_the_longest_run_is_believed() -> None:
    first = draws(*range(1000, 1010)) | {1004: at(1004, days=-2)}
    assert list(out_of_place(first, {}, INTERVAL)) == [1004]


def test_where_two_contradict_each_other_neither_is_sure() -> None:
    swapped = draws(*range(1000, 1006)) | {1002: at(1003), 1003: at(1002)}
    judged = fits(swapped, INTERVAL)
    assert {period for period, fit in judged.items() if fit is Fit.POSSIBLE} == {1002, 1003}
    assert list(sure_times(swapped, INTERVAL)) == [1000, 1001, 1004, 1005]


def test_ten_thousand_draws_are_judged_at_once() -> None:
    many = draws(*range(1000, 11_000)) | {6000: at(6000, days=-2)}
    assert list(out_of_place(many, {}, INTERVAL)) == [6000]
