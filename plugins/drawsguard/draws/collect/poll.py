"""One poll of the feed: everything an answer holds is judged and written, and how the poll ended is logged."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

from drawsguard.draws.collect.feed import Answer, AnswerImplausibleError, FeedError, Rejected, rejected_draw
from drawsguard.draws.collect.source_repository import BATCH_SIZE, PollRecord, SourceRepository, StoredDraw
from drawsguard.draws.draw_time import out_of_place
from drawsguard.draws.model import Draw
from drawsguard.settings import get_settings
from drawsguard.warehouse.failures import StatementError

#: Rows with an implausible time, beside fewer plausible ones, that make the whole answer implausible.
IMPLAUSIBLE_ANSWER = 3

log = logging.getLogger(__name__)


class Poll:
    """Writes the answers of one poll and counts the outcomes.

    :param source: where the answers come from, for the quarantine: ``latest`` or ``history``.
    """

    def __init__(self, repository: SourceRepository, source: str) -> None:
        self._repository = repository
        self._source = source
        self.polled_at = datetime.now(UTC)
        self.http_status: int | None = None
        self.received = self.inserted = self.quarantined = 0
        self._plausible = 0
        self._implausible: dict[int, str] = {}

    def write(self, answers: Iterable[Answer]) -> None:
        """Write the draws and the rejected rows of ``answers``, gathered into few statements. Repeatable.

        A draw whose time breaks the rule of `drawsguard.draws.draw_time` is quarantined as ``time_implausible``.

        :raises FeedError: when reading the next answer fails; those before it are written.
        :raises AnswerImplausibleError: when most draws have such times; the others are written.
        """
        gathered: list[Answer] = []
        try:
            for answer in answers:
                self.http_status = 200
                self.received += answer.received
                gathered.append(answer)
                if sum(len(each.draws) for each in gathered) >= BATCH_SIZE:
                    self._flush(gathered)
        finally:
            self._flush(gathered)
        self._require_plausible()

    def skip(self, answer: Answer) -> None:
        """Count an answer that was written before."""
        self.http_status = 200
        self.received += answer.received

    def _require_plausible(self) -> None:
        wrong = len(self._implausible)
        if wrong >= IMPLAUSIBLE_ANSWER and wrong > self._plausible:
            first, detail = min(self._implausible.items())
            raise AnswerImplausibleError(
                f"{wrong} of {wrong + self._plausible} draws have times that contradict the draws around them, first "
                f"{first}: {detail} They are in the quarantine (time_implausible), not in the source. Compare both "
                "with the official results. If the feed is wrong, wait until it is right and read its history again; "
                "if the stored draws are, delete their wrong versions from the source first."
            )

    def _flush(self, answers: list[Answer]) -> None:
        if not answers:
            return
        polled_at = answers[-1].polled_at
        draws: dict[int, Draw] = {}
        for draw in (draw for answer in answers for draw in answer.draws):
            # A draw that moved between two pages is in both: the newer version wins, of equal ones the later answer.
            if draw.period not in draws or draw.version >= draws[draw.period].version:
                draws[draw.period] = draw
        rejected = [row for answer in answers for row in answer.rejected]
        answers.clear()
        stored = self._repository.stored(list(draws.values()), polled_at)
        fresh = {
            period: draw
            for period, draw in draws.items()
            if period not in stored or StoredDraw(draw.timestamp, draw.numbers) != stored[period]
        }
        implausible = out_of_place(
            {period: draw.timestamp for period, draw in fresh.items()},
            {period: draw.timestamp for period, draw in stored.items()},
            timedelta(seconds=get_settings().draw_interval_seconds),
        )
        self._implausible |= implausible
        self._plausible += len(draws) - len(implausible)
        rejected += [rejected_draw(draws[period], "time_implausible", why) for period, why in implausible.items()]
        self.quarantined += self._repository.quarantine(rejected, self._source, polled_at)
        accepted = [draw for period, draw in fresh.items() if period not in implausible]
        self.inserted += self._repository.insert_draws(accepted, polled_at)

    def quarantine_answer(self, error: FeedError) -> None:
        """Quarantine an unusable answer as it was received; an answer without content leaves nothing to store."""
        self.http_status = error.http_status
        if error.raw:
            rejected = Rejected(error.reason, str(error), error.raw)
            self.quarantined += self._repository.quarantine([rejected], self._source, self.polled_at)


@contextmanager
def recorded_poll(
    repository: SourceRepository, source: str, run_id: str, try_number: int, poll_number: int
) -> Iterator[Poll]:
    """Log the poll made in the ``with`` block, whether it succeeds or fails.

    :param repository: what the poll writes to.
    :param source: see `Poll`.
    :param run_id: Airflow's run, for the log.
    :param try_number: its attempt, from 1.
    :param poll_number: the poll within the attempt, from 1.
    """
    poll = Poll(repository, source)
    started = time.monotonic()

    def record(status: str, error: BaseException | None = None) -> None:
        repository.log_poll(
            PollRecord(
                run_id=run_id,
                try_number=try_number,
                poll_number=poll_number,
                polled_at=poll.polled_at,
                seconds=time.monotonic() - started,
                status=status,
                http_status=poll.http_status,
                received=poll.received,
                inserted=poll.inserted,
                quarantined=poll.quarantined,
                error=f"{type(error).__name__}: {error}" if error else None,
            )
        )

    try:
        yield poll
    except (KeyboardInterrupt, SystemExit):
        raise  # the worker is being killed
    except BaseException as error:  # a task that is stopped at its own time limit has failed, too
        try:
            if isinstance(error, FeedError):
                poll.quarantine_answer(error)
            record("failed", error)
        except StatementError:
            log.exception("The failed poll could not be recorded either; the reason of the failure follows.")
        raise
    record("success")
