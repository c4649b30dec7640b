"""A stop switch that cannot be understood stops."""

from __future__ import annotations

import pytest

from drawsguard.points.stop_switch import stops


@pytest.mark.parametrize("value", ["true", "TRUE ", "1", "yes", "stop", "please stop now", "ture", "0.0", "None", True])
def test_whatever_does_not_clearly_say_go_on_stops(value: object) -> None:
    assert stops(value)


@pytest.mark.parametrize("value", ["", " ", "false", "False", "0", "no", "off", False])
def test_what_clearly_says_go_on_goes_on(value: object) -> None:
    assert not stops(value)
