"""What is not an incident yet: what has never been otherwise, and what catches up after the monitor was away; and what
is none, since a person paused the monitor.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from drawsguard.alerts.state import passed
from drawsguard.monitoring.observation import Observation

#: What says that the monitor was away; it does not wait for others to catch up.
ABSENCE = "check:monitor_runs_every_minute:"

#: How far back the results of a check are looked at. What has not passed for longer has an open alert, or is new again.
PAST = timedelta(days=8)

#: The monitor's view shows interruptions that ended so lately.
LATELY = timedelta(hours=1)

#: Tells whether a person had paused the monitor from one time to another.
Paused = Callable[[datetime, datetime], bool]


def unknown(_since: datetime, _until: datetime) -> bool:
    """Nobody can tell, so it was no pause."""
    return False


#: A longer time between two rounds is an interruption of the monitor.
SILENCE = timedelta(seconds=300)


@dataclass(frozen=True)
class History:
    """The last days of a check's subject; times are aware.

    :param first_checked_at: when it was first looked at.
    :param has_passed: whether it passed at any time.
    :param resumed_at: when the present uninterrupted series of the monitor's rounds began.
    :param patient_since: the end of the first interruption after it passed last; of the newest one when there was none
        since. Those that followed, while it failed in every round, prolong nothing: it would otherwise wait for ever.
    :param away_since: the last round before that; None when there was none.
    :param interruptions: how many of the monitor ended lately.
    """

    first_checked_at: datetime
    has_passed: bool
    resumed_at: datetime
    patient_since: datetime
    away_since: datetime | None = None
    interruptions: int = 0


@dataclass(frozen=True)
class Patience:
    """How long to wait.

    :param start: for what has never passed since it is looked at: a first start, a new service, a new check.
    :param catch_up: for what failed while the monitor was away: everything that stood still with it catches up first.
        An interruption restarts it for what has passed since the one before.
    """

    start: timedelta
    catch_up: timedelta

    def waits(self, key: str, history: History, now: datetime, paused: Paused = unknown) -> bool:
        """Whether what fails now is no incident, or not yet.

        :param paused: asked about an absence of the monitor that is its only one lately.
        """
        if not history.has_passed:
            return not passed(history.first_checked_at, now, self.start)
        if not key.startswith(ABSENCE):
            return not passed(history.patient_since, now, self.catch_up)
        known = history.away_since is not None and history.interruptions == 1
        return known and paused(history.away_since, history.resumed_at)  # type: ignore[arg-type]  # known

    def apply(
        self,
        observations: Sequence[Observation],
        histories: Mapping[str, History],
        now: datetime,
        paused: Paused = unknown,
    ) -> list[Observation]:
        """Return the observations, with those that wait as not made: neither firing nor quiet."""
        return [
            replace(one, firing=None)
            if one.firing and one.key in histories and self.waits(one.key, histories[one.key], now, paused)
            else one
            for one in observations
        ]
