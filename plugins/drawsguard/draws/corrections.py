"""Corrections of a draw: which version is the newest, and where its other versions are found.

**Which version is the newest** is decided by the SQL function ``draw_version`` (``R__010_draw_version.sql``), a total
order of a draw's versions: ``updated_at`` or else ``created_at``, then ``created_at``, then every value. Collector,
sync, repair and features all use it, so two versions with one ``updated_at`` end alike in every table, in whatever
order they arrive: the one with the greater values is the newest, and the collector stores no version below the newest
stored one. `drawsguard.draws.model.Draw.version` is the first part of its key, the only one that the feed needs: two
rows of one answer that agree there and nowhere else are quarantined (``conflicting_rows`` in
`drawsguard.draws.collect.feed`), since an answer that contradicts itself says nothing.

**Where the other versions are** is never a matter of time: a correction may move a draw anywhere. Every statement that
must see all versions of a period asks `drawsguard.draws.sync.period_hours` for the span that holds them. Which times a
draw may have at all is `drawsguard.draws.draw_time`.
"""

from __future__ import annotations

from datetime import timedelta

#: A collector's write is visible this long after the ``ingested_at`` that it carries. The verification does not demand
#: younger rows: they may have become visible between the MERGE and the check.
SETTLING = timedelta(seconds=60)
