"""The sweep: delete what a ticket's patterns match, and nothing else, from live Redis servers.

A key is deleted only when the ticket's automaton matches its whole name and its type is the one of the structure.
The ledger records before each batch what will be deleted and after it what was, so that a killed sweep continues
where it stopped and every deletion is counted once.
"""

from __future__ import annotations

import logging
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from redis import exceptions as redis_errors

from drawsguard.points.cleanup.automaton import TemplateAutomaton
from drawsguard.points.cleanup.config import SampleSettings, SweepSettings
from drawsguard.points.cleanup.instance import ELSEWHERE, Master, RedisInstance
from drawsguard.points.cleanup.ledger import Checkpoint, Counts, Item, Ledger, Phase, Sample, Scan
from drawsguard.points.cleanup.progress import Estimator, Progress, scanned_fraction
from drawsguard.points.cleanup.structure import Structure
from drawsguard.points.cleanup.template import covering_glob
from drawsguard.points.cleanup.throttle import Throttle
from drawsguard.points.cleanup.ticket import Ticket
from drawsguard.points.digest import digest_of

logger = logging.getLogger(__name__)

Outcome = TypeVar("Outcome")
Thing = TypeVar("Thing")

#: Transient errors: a restart, a failover, a slot being moved.
PASSING = (
    redis_errors.BusyLoadingError,
    redis_errors.ClusterDownError,
    redis_errors.ConnectionError,
    redis_errors.MasterDownError,
    redis_errors.ReadOnlyError,
    redis_errors.TimeoutError,
    redis_errors.TryAgainError,
)
#: Matches wait at most this long to fill a batch (seconds).
FLUSH_SECONDS = 2.0
#: Pauses while a server is not usable (seconds).
FIRST_PAUSE, LONGEST_PAUSE = 0.2, 5.0
#: As many as the ledger's column takes.
_IDENTITY_CHARACTERS = 32
#: How often the latency is measured, the stop switch read and progress reported (seconds).
PROBE_SECONDS, STOP_SECONDS, REPORT_SECONDS = 0.1, 2.0, 10.0


class SweepStoppedError(RuntimeError):
    """The stop switch ended the sweep; run it again to continue where it stopped."""


class SweepFailedError(RuntimeError):
    """A Redis server stayed unreachable; what was done is recorded, run it again to continue."""


@dataclass(frozen=True)
class SweepResult:
    """What a finished sweep left behind.

    :param left: keys or fields that still match after the confirming pass, by eid.
    :param wrong_type: matching keys of another type than the structure says, by eid.
    """

    left: Mapping[int, int]
    wrong_type: Mapping[int, int]


@dataclass(frozen=True)
class _Match:
    key: bytes
    structures: tuple[Structure, ...]


class Sweep:
    """Executes one ticket.

    :param ticket: what to delete. The caller checks that its approval is valid.
    :param instances: the ticket's Redis instances.
    :param ledger: durable memory.
    :param settings: batch sizes, passes, how long to wait for a server.
    :param samples: how many deleted keys are kept as samples.
    :param throttle: pace; None goes as fast as the server answers.
    :param should_stop: the stop switch, read between batches.
    :param require_permit: raises when the ticket may not be executed any more; asked before every deletion, and every
        few seconds.
    :param report: called with the progress now and then.
    :param clock: monotonic seconds.
    :param sleep: waits for a number of seconds.
    """

    def __init__(
        self,
        ticket: Ticket,
        instances: Sequence[RedisInstance],
        ledger: Ledger,
        settings: SweepSettings,
        samples: SampleSettings,
        *,
        throttle: Throttle | None = None,
        should_stop: Callable[[], bool] = lambda: False,
        require_permit: Callable[[], object] = lambda: None,
        report: Callable[[Progress], object] = lambda progress: logger.info("%s", progress),
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], object] = time.sleep,
    ) -> None:
        if not ticket.structures:
            raise ValueError(f"Ticket {ticket.ticket_id} has no points; there is nothing to sweep.")
        self._ticket = ticket
        self._instances = instances
        self._ledger = ledger
        self._settings = settings
        self._sample_settings = samples
        self._throttle = throttle
        self._should_stop = should_stop
        self._require_permit = require_permit
        self._report = report
        self._clock = clock
        self._sleep = sleep
        self._keys = TemplateAutomaton((structure.key, structure) for structure in ticket.structures)
        self._fields = {
            structure.eid: (TemplateAutomaton([(structure.field, structure.eid)]), structure.field.glob)
            for structure in ticket.structures
            if structure.field is not None and not structure.field.is_exact
        }
        self._digest = ticket.digest
        self._glob = covering_glob([structure.key for structure in ticket.structures])
        self._estimator = Estimator(clock)
        self._samples: Counter[int] = Counter()
        self._found = self._deleted = 0
        self._advanced_at = self._probed_at = self._stop_read_at = float("-inf")
        self._reported_at = clock()

    def run(self) -> SweepResult:
        """Delete, then scan again to confirm; repeat while something is left, up to the configured passes.

        :returns: what is left, which is nothing unless something keeps writing.
        :raises SweepStoppedError: when the stop switch was set.
        :raises SweepFailedError: when a server did not come back in time.
        """
        self._note_memory(before=True)
        first = self._ledger.finished_passes(self._ticket.ticket_id) + 1
        for number in range(first, first + self._settings.max_passes):
            self._pass("delete", number)
            result = self._pass("confirm", number)
            if not result.left:
                break
            logger.warning("Pass %d of ticket %s left %s.", number, self._ticket.ticket_id, dict(result.left))
        self._note_memory(before=False)
        self._ledger.finish_passes(self._ticket.ticket_id, number)
        return result

    def _note_memory(self, *, before: bool) -> None:
        for instance in self._instances:
            used = self._patiently(instance, lambda masters: sum(master.used_memory for master in masters))
            self._ledger.memory(self._ticket.ticket_id, instance.name, used, before=before)

    # --- passes and their interruptions ---------------------------------------------------------------
    def _pass(self, phase: Phase, number: int) -> SweepResult:
        for instance in self._instances:
            self._patiently(instance, partial(self._expect, instance, number))
        left: Counter[int] = Counter()
        wrong_type: Counter[int] = Counter()
        for instance in self._instances:
            scans = self._patiently(instance, partial(self._sweep_instance, instance, phase, number))
            if phase == "confirm":
                self._ledger.confirmed(scans)
            for scan in scans:
                for eid, counts in self._ledger.counts(scan).items():
                    left[eid] += counts.found
                    wrong_type[eid] += counts.wrong_type
        return SweepResult(dict(+left), dict(+wrong_type))

    def _patiently(self, instance: RedisInstance, action: Callable[[list[Master]], Outcome]) -> Outcome:
        """Do ``action`` with the current masters; wait and start again while a server restarts or fails over."""
        waiting_since: float | None = None
        pause = FIRST_PAUSE
        while True:
            try:
                return action(instance.masters())
            except PASSING as error:
                now = self._clock()
                if waiting_since is None or self._advanced_at > waiting_since:
                    waiting_since, pause = now, FIRST_PAUSE
                if now - waiting_since > self._settings.recovery_seconds:
                    raise SweepFailedError(
                        f"Redis instance {instance.name} was not usable for {self._settings.recovery_seconds:.0f} s "
                        f"({error}). Everything done so far is recorded; repair the server and run ticket "
                        f"{self._ticket.ticket_id} again."
                    ) from error
                logger.warning("Redis instance %s: %s; trying again.", instance.name, error)
            self._heed_stop_switch(at_once=True)
            self._sleep(pause)
            pause = min(LONGEST_PAUSE, pause * 2)

    def _expect(self, instance: RedisInstance, number: int, masters: list[Master]) -> None:
        phases: tuple[Phase, ...] = ("delete", "confirm")
        for master in masters:
            size = master.client.dbsize()
            for phase in phases:
                self._estimator.expect(self._scan(instance, master, phase, number), size)

    def _scan(self, instance: RedisInstance, master: Master, phase: Phase, number: int) -> Scan:
        # A ticket keeps its id while its points change; what was scanned for others is scanned again.
        identity = digest_of([master.identity, self._digest])[:_IDENTITY_CHARACTERS]
        return Scan(self._ticket.ticket_id, phase, number, instance.name, master.name, identity)

    def _sweep_instance(self, instance: RedisInstance, phase: Phase, number: int, masters: list[Master]) -> list[Scan]:
        """Complete the pass on every master; the masters are the same before and after, or it is not complete.

        A confirming pass also needs every slot at rest: a key on its way from a master that is scanned later to one
        that was scanned before would be seen by neither.
        """
        _require_rest(phase, masters)
        for scan, items in self._ledger.intents(self._ticket.ticket_id, instance.name):
            self._reconcile(scan, items, masters)
        self._samples = Counter(self._ledger.sampled(self._ticket.ticket_id, instance.name))
        scans = [self._scan(instance, master, phase, number) for master in masters]
        for scan, master in zip(scans, masters, strict=True):
            checkpoint = self._ledger.checkpoint(scan)
            if not checkpoint.done:
                self._sweep_master(scan, master, checkpoint.cursor)
            self._estimator.advance(scan, 1.0)
        now = instance.masters()
        if now != masters:
            raise redis_errors.TryAgainError("the masters or their slots changed during the pass")
        _require_rest(phase, now)
        return scans

    def _reconcile(self, scan: Scan, items: Sequence[Item], masters: list[Master]) -> None:
        """Count what an interrupted batch deleted; what it did not delete is still there for the scan to find."""
        counts: Counter[int] = Counter()
        for master in masters:
            mine = [item for item in items if master.owns(item.key)]
            answers = self._ask(
                master,
                [("EXISTS", item.key) if item.field is None else ("HEXISTS", item.key, item.field) for item in mine],
            )
            if any(isinstance(answer, ELSEWHERE) for answer in answers):
                raise redis_errors.TryAgainError(
                    "slots are being moved; an interrupted batch is counted when they have arrived"
                )
            counts.update(item.eid for item, present in zip(mine, answers, strict=True) if not present)
        self._ledger.record(scan, None, {eid: Counts(found=n, deleted=n) for eid, n in counts.items()})

    # --- one master -----------------------------------------------------------------------------------
    def _sweep_master(self, scan: Scan, master: Master, cursor: int) -> None:
        matches: list[_Match] = []
        flushed_at = self._clock()
        for following, keys in self._pages(master, cursor):
            matches += [_Match(key, found) for key in keys if (found := self._keys.match(key))]
            full = len(matches) >= self._settings.batch_items or self._clock() - flushed_at > FLUSH_SECONDS
            if full and following:
                self._process(scan, master, matches, Checkpoint(following))
                matches, flushed_at = [], self._clock()
            self._estimator.advance(scan, scanned_fraction(following))
            self._between_pages(master)
        self._process(scan, master, matches, Checkpoint(done=True))

    def _pages(self, master: Master, cursor: int) -> Iterator[tuple[int, Iterable[bytes]]]:
        """Yield the cursor to continue from and the keys before it; a last cursor of 0 is the end."""
        if all(structure.key.is_exact for structure in self._ticket.structures):
            keys = {structure.key.exact for structure in self._ticket.structures}
            yield 0, sorted(key for key in keys if master.owns(key))
            return
        while True:
            command = ("SCAN", cursor, "MATCH", self._glob, "COUNT", self._settings.scan_count)
            ((position, keys),) = self._ask(master, [command])
            cursor = int(position)
            if self._throttle:
                self._throttle.spend(examined=self._settings.scan_count)
            yield cursor, keys
            if cursor == 0:
                return

    def _process(self, scan: Scan, master: Master, matches: list[_Match], checkpoint: Checkpoint) -> None:
        """Delete (or, confirming, count) what matched, and only then move the checkpoint past it."""
        right, types, wrong = self._sort_by_type(scan, master, matches)
        totals = {eid: Counts(wrong_type=number) for eid, number in wrong.items()}
        for items in _chunks(self._items(scan, master, right), self._settings.batch_items):
            if scan.phase == "delete":
                self._delete(scan, master, items, types)
            else:
                for item in items:
                    totals[item.eid] = totals.get(item.eid, Counts()) + Counts(found=1)
        self._ledger.record(scan, checkpoint, totals)
        self._advanced_at = self._clock()

    def _sort_by_type(
        self, scan: Scan, master: Master, matches: list[_Match]
    ) -> tuple[list[_Match], dict[bytes, str], Counter[int]]:
        """Return the matches whose type is the structure's, the types by key, and how many are of another, by eid."""
        right: list[_Match] = []
        types: dict[bytes, str] = {}
        wrong: Counter[int] = Counter()
        unique = list({match.key: match for match in matches}.values())  # SCAN may return a key twice
        for match, answer in zip(unique, self._ask(master, [("TYPE", match.key) for match in unique]), strict=True):
            if _is_elsewhere(scan, answer):
                continue
            types[match.key] = answer.decode()
            fitting = tuple(structure for structure in match.structures if structure.redis_type == types[match.key])
            if fitting:
                right.append(_Match(match.key, fitting))
            elif types[match.key] != "none":  # "none": it has disappeared since it was scanned
                wrong[match.structures[0].eid] += 1
        return right, types, wrong

    def _items(self, scan: Scan, master: Master, matches: Iterable[_Match]) -> Iterator[Item]:
        """Yield what belongs to the ticket: whole keys, fields named exactly, fields that match a pattern."""
        exact: list[tuple[Structure, bytes]] = []
        patterns: list[tuple[Structure, bytes]] = []
        for match in matches:
            whole = next((structure for structure in match.structures if structure.field is None), None)
            if whole:
                yield Item(whole.eid, match.key, None)
                continue
            for structure in match.structures:
                (exact if structure.field_match == "exact" else patterns).append((structure, match.key))
        items = [Item(structure.eid, key, structure.field.exact) for structure, key in exact if structure.field]
        present = self._ask(master, [("HEXISTS", item.key, item.field) for item in items])
        for item, answer in zip(items, present, strict=True):
            if not _is_elsewhere(scan, answer) and answer == 1:
                yield item
        for structure, key in patterns:
            yield from self._matching_fields(scan, master, key, structure)

    def _matching_fields(self, scan: Scan, master: Master, key: bytes, structure: Structure) -> Iterator[Item]:
        automaton, glob = self._fields[structure.eid]
        cursor = 0
        while True:
            command = ("HSCAN", key, cursor, "MATCH", glob, "COUNT", self._settings.scan_count)
            (answer,) = self._ask(master, [command])
            if _is_elsewhere(scan, answer):
                return
            cursor = int(answer[0])
            yield from (Item(structure.eid, key, field) for field in answer[1] if automaton.match(field))
            if cursor == 0:
                return
            self._between_pages(master)

    def _delete(self, scan: Scan, master: Master, items: Sequence[Item], types: Mapping[bytes, str]) -> None:
        self._heed_stop_switch()
        self._require_permit()
        self._ledger.intend(scan, items, self._take_samples(master, items, types))
        answers = self._ask(
            master,
            [("UNLINK", item.key) if item.field is None else ("HDEL", item.key, item.field) for item in items],
        )
        found: Counter[int] = Counter()
        deleted: Counter[int] = Counter()
        for item, answer in zip(items, answers, strict=True):
            if not isinstance(answer, ELSEWHERE):
                found[item.eid] += 1
                deleted[item.eid] += answer
        self._ledger.record(scan, None, {eid: Counts(found=n, deleted=deleted[eid]) for eid, n in found.items()})
        self._found += found.total()
        self._deleted += deleted.total()
        if self._throttle:
            self._throttle.spend(deleted=len(items))

    def _take_samples(self, master: Master, items: Sequence[Item], types: Mapping[bytes, str]) -> list[Sample]:
        wanted = []
        room = Counter({item.eid: self._sample_settings.per_point - self._samples[item.eid] for item in items})
        for item in items:
            if room[item.eid] > 0:
                room[item.eid] -= 1
                wanted.append(item)
        sizes = self._ask(
            master,
            [
                ("MEMORY", "USAGE", item.key) if item.field is None else ("HSTRLEN", item.key, item.field)
                for item in wanted
            ],
        )
        lives = self._ask(master, [("PTTL", item.key) for item in wanted])
        samples = []
        for item, size, life in zip(wanted, sizes, lives, strict=True):
            if not isinstance(size, int) or not isinstance(life, int):  # gone, or moved away meanwhile
                continue
            value = None
            if size <= self._sample_settings.max_value_bytes:
                command = ("DUMP", item.key) if item.field is None else ("HGET", item.key, item.field)
                (answer,) = self._ask(master, [command])
                value = answer if isinstance(answer, bytes) else None
            samples.append(Sample(item, types[item.key], life if life >= 0 else None, size, value))
            self._samples[item.eid] += 1
        return samples

    @staticmethod
    def _ask(master: Master, commands: Sequence[tuple[Any, ...]]) -> list[Any]:
        """Send commands in one round trip; an answer of ELSEWHERE is returned, any other error raised."""
        if not commands:
            return []
        if len(commands) == 1:  # a pipeline of one command costs twice as much, and every SCAN is a single command
            try:
                return [master.client.execute_command(*commands[0], NEVER_DECODE=True)]
            except ELSEWHERE as error:
                return [error]
        pipeline = master.client.pipeline(transaction=False)
        for command in commands:
            pipeline.execute_command(*command, NEVER_DECODE=True)
        answers = pipeline.execute(raise_on_error=False)
        for answer in answers:
            if isinstance(answer, redis_errors.RedisError) and not isinstance(answer, ELSEWHERE):
                raise answer
        return answers

    # --- between batches --------------------------------------------------------------------------------
    def _between_pages(self, master: Master) -> None:
        now = self._clock()
        if self._throttle and now - self._probed_at >= PROBE_SECONDS:
            master.client.ping()
            self._probed_at = self._clock()
            self._throttle.observe(self._probed_at - now)
        if now - self._reported_at >= REPORT_SECONDS:
            self._reported_at = now
            self._report(self.progress)
        self._heed_stop_switch()

    @property
    def progress(self) -> Progress:
        """The progress of this run."""
        return Progress(self._estimator.fraction, self._estimator.seconds_left, self._found, self._deleted)

    def _heed_stop_switch(self, *, at_once: bool = False) -> None:
        now = self._clock()
        if not at_once and now - self._stop_read_at < STOP_SECONDS:
            return
        self._stop_read_at = now
        self._require_permit()
        if self._should_stop():
            raise SweepStoppedError(
                f"The stop switch ended ticket {self._ticket.ticket_id} after {self._deleted} deletions of this run; "
                "release the switch and trigger points_cleanup again: it asks again and goes on where it stopped."
            )


def _require_rest(phase: Phase, masters: Iterable[Master]) -> None:
    moving = sorted({slot for master in masters for slot in master.moving})
    if phase == "confirm" and moving:
        raise redis_errors.TryAgainError(
            f"{len(moving)} slots are being moved, e.g. {moving[0]}: nothing can be called clean before they have "
            "arrived (redis-cli --cluster fix finishes a migration that was abandoned)"
        )


def _is_elsewhere(scan: Scan, answer: object) -> bool:
    """Whether the key lives on another master now; while confirming, that is an error: it would not be counted."""
    elsewhere = isinstance(answer, ELSEWHERE)
    if elsewhere and scan.phase == "confirm":
        raise redis_errors.TryAgainError(f"{scan.master} holds a key that it does not serve ({answer})")
    return elsewhere


def _chunks(things: Iterator[Thing], size: int) -> Iterator[list[Thing]]:
    while chunk := list(islice(things, size)):
        yield chunk
