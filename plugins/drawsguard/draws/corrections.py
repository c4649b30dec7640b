"""Corrections of a draw: which version is the newest, and how far back in time a correction is followed.

**Which version is the newest** is decided by the SQL function ``draw_version`` (``R__010_draw_version.sql``), a total
order of a draw's versions that every statement uses. `drawsguard.draws.model.Draw.version` is the first part of its
key, the only one that the feed needs: two versions of one answer that agree there and nowhere else are quarantined
(``conflicting_rows`` in `drawsguard.draws.collect.feed`), since nothing says which of them is right.

**How far back a correction is followed** is `CORRECTION_REACH`: the sync follows a draw that a correction moved by up
to that much (`drawsguard.draws.sync.target`); beyond it ``draw_reconcile`` compares every version collected since its
last run with the whole table, once a day, and replaces both rows by the newest version
(`drawsguard.draws.repair.reconcile`).
"""

from __future__ import annotations

from datetime import timedelta

#: How far a correction may move a draw in time and still be followed by the next sync. A bound, so that the cost of a
#: sync does not grow with the table.
CORRECTION_REACH = timedelta(days=7)

#: A collector's write is visible this long after the ``ingested_at`` that it carries. The verification does not demand
#: younger rows: they may have become visible between the MERGE and the check.
SETTLING = timedelta(seconds=60)
