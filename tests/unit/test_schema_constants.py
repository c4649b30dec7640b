"""What is rendered into views: offsets of the locked zone data, and the services."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest

from drawsguard import schema_constants
from drawsguard.draws.cadence import Cadence
from drawsguard.schema_constants import FIRST, LAST, offsets
from drawsguard.settings import Settings
from drawsguard.sql import render
from drawsguard.zones import locked_zone


@pytest.mark.parametrize("name", ["America/Vancouver", "Europe/London", "Asia/Shanghai", "Australia/Lord_Howe", "UTC"])
def test_offsets_tell_every_moment_as_the_zone_does(name: str) -> None:
    zone = locked_zone(name)
    rendered = [(datetime.fromisoformat(f"{since}+00:00"), seconds) for since, _day, seconds in offsets(zone)]
    moment = FIRST
    while moment < LAST:
        told = next(seconds for since, seconds in rendered if moment >= since)
        assert timedelta(seconds=told) == moment.astimezone(zone).utcoffset(), moment
        moment += timedelta(hours=7)
    day = FIRST.date() + timedelta(days=1)
    while day < LAST.date():
        told = next(seconds for _since, since_day, seconds in offsets(zone) if f"{day}" >= since_day)
        assert timedelta(seconds=told) == datetime.combine(day, time(4), zone).utcoffset(), day
        day += timedelta(days=1)


def test_british_columbia_stays_on_summer_time_from_2026_on_whatever_the_host_knows() -> None:
    """Trouble from the field: Python saw no draw overdue, SQL sixteen."""
    cadence = Cadence.from_settings(Settings())
    pause = datetime(2026, 11, 15, 11, 30, tzinfo=UTC)
    assert cadence.in_maintenance(pause)
    assert not cadence.in_maintenance(pause + timedelta(hours=1))
    assert offsets(locked_zone("America/Vancouver"))[0] == ("2026-03-08 10:00:00", "2026-03-08", -7 * 3600)


@pytest.mark.parametrize("name", ["America/Nowhere", "", "../etc/passwd", "America", "/etc/localtime"])
def test_a_zone_that_the_data_do_not_know_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="there is no time zone"):
        locked_zone(name)


@pytest.mark.parametrize(
    "entry", ['{name: "a\'b", job: j, max_silence_minutes: 5}', "{name: a, job: j, max_silence_minutes: 5 OR 1}"]
)
def test_what_is_no_plain_name_is_not_rendered(entry: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "services.yaml").write_text(f"services: [{entry}]\n")
    monkeypatch.setattr(schema_constants, "config_file", lambda name: tmp_path / name)
    with pytest.raises(ValueError, match=r"services\.yaml"):
        render("bigquery/schema/R__340_scheduler_execution_v.sql")
