"""A ledger in memory, for tests that look at the sweep alone."""

from __future__ import annotations

from collections import Counter, defaultdict

from drawsguard.points.cleanup.ledger import Checkpoint, Counts


class MemoryLedger:
    def __init__(self):
        self.checkpoints = {}
        self.pending = {}
        self.per_scan = defaultdict(lambda: defaultdict(Counts))
        self.samples = []
        self.passes = 0
        self.used = {}

    def checkpoint(self, scan):
        return self.checkpoints.get(scan, Checkpoint())

    def intents(self, ticket_id, instance):
        return [(scan, items) for scan, items in self.pending.items() if scan.instance == instance]

    def intend(self, scan, items, samples):
        self.pending[scan] = list(items)
        self.samples += samples

    def record(self, scan, checkpoint, counts):
        for eid, added in counts.items():
            self.per_scan[scan][eid] += added
        self.pending.pop(scan, None)
        if checkpoint:
            self.checkpoints[scan] = checkpoint

    def counts(self, scan):
        return self.per_scan[scan]

    def sampled(self, ticket_id, instance):
        return Counter(sample.item.eid for sample in self.samples)

    def finished_passes(self, ticket_id):
        return self.passes

    def finish_passes(self, ticket_id, number):
        self.passes = number

    def memory(self, ticket_id, instance, used, *, before):
        if before:
            self.used.setdefault((instance, "before"), used)
        else:
            self.used[instance, "after"] = used

    def total(self, phase="delete"):
        """Counts of all scans of a phase by eid."""
        totals = defaultdict(Counts)
        for scan, counts in self.per_scan.items():
            if scan.phase == phase:
                for eid, added in counts.items():
                    totals[eid] += added
        return dict(totals)
