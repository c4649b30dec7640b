"""The ledger of a sweep in memory: for tests and benchmarks that look at the sweep alone."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence

from drawsguard.points.cleanup.ledger import Checkpoint, Counts, Item, Phase, Sample, Scan


class MemoryLedger:
    """Remembers what `drawsguard.points.cleanup.ledger.Ledger` asks for, of one ticket."""

    def __init__(self) -> None:
        self.checkpoints: dict[Scan, Checkpoint] = {}
        self.pending: dict[Scan, Sequence[Item]] = {}
        self.per_scan: dict[Scan, dict[int, Counts]] = defaultdict(lambda: defaultdict(Counts))
        self.samples: list[Sample] = []
        self.passes = 0
        self.used: dict[tuple[str, str], int] = {}

    def checkpoint(self, scan: Scan) -> Checkpoint:
        return self.checkpoints.get(scan, Checkpoint())

    def intents(self, ticket_id: str, instance: str) -> list[tuple[Scan, Sequence[Item]]]:
        wanted = (ticket_id, instance)
        return [(scan, items) for scan, items in self.pending.items() if (scan.ticket_id, scan.instance) == wanted]

    def intend(self, scan: Scan, items: Sequence[Item], samples: Sequence[Sample]) -> None:
        self.pending[scan] = list(items)
        self.samples += samples

    def record(self, scan: Scan, checkpoint: Checkpoint | None, counts: Mapping[int, Counts]) -> None:
        for eid, added in counts.items():
            self.per_scan[scan][eid] += added
        self.pending.pop(scan, None)
        if checkpoint:
            self.checkpoints[scan] = checkpoint

    def counts(self, scan: Scan) -> Mapping[int, Counts]:
        return self.per_scan[scan]

    def sampled(self, ticket_id: str, instance: str) -> Mapping[int, int]:  # noqa: ARG002 - one ticket, one instance
        return Counter(sample.item.eid for sample in self.samples)

    def confirmed(self, scans: Sequence[Scan]) -> None:
        first = scans[0]
        place = (first.phase, first.number, first.instance)
        for scan in {*self.checkpoints, *self.per_scan}:
            if (scan.phase, scan.number, scan.instance) == place and scan not in scans:
                self.checkpoints.pop(scan, None)
                self.per_scan.pop(scan, None)

    def finished_passes(self, ticket_id: str) -> int:  # noqa: ARG002 - one ticket
        return self.passes

    def finish_passes(self, ticket_id: str, number: int) -> None:  # noqa: ARG002 - one ticket
        self.passes = number

    def memory(self, ticket_id: str, instance: str, used: int, *, before: bool) -> None:  # noqa: ARG002 - one ticket
        if before:
            self.used.setdefault((instance, "before"), used)
        else:
            self.used[instance, "after"] = used

    def total(self, phase: Phase = "delete") -> dict[int, Counts]:
        """Return the counts of all scans of a phase by eid."""
        totals: dict[int, Counts] = defaultdict(Counts)
        for scan, counts in self.per_scan.items():
            if scan.phase == phase:
                for eid, added in counts.items():
                    totals[eid] += added
        return dict(totals)
