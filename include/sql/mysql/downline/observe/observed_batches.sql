-- Purpose: the batches that are being watched: from their downline until they are cleaned, since the use of the last
--          observed day arrives after its end. One whose downline is not verified yet has rows at -80, too.
-- Grain: one row a batch.
-- Parameters: now (UTC).
SELECT batch_id, observe_from, observe_until, halted_at, state
FROM points_lifecycle.batch
WHERE state = 'downlining' OR (state IN ('downlined', 'cleaning') AND observe_from <= %(now)s)
ORDER BY batch_id
