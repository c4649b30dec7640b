-- Purpose: the batches that are being watched on a day; one that is halted for as long as it is.
-- Grain: one row a batch.
-- Parameters: now (UTC).
-- Why it can be re-run: reads only.
SELECT batch_id, observe_from, observe_until, halted_at
FROM points_lifecycle.batch
WHERE state = 'downlined' AND observe_from <= %(now)s AND (observe_until > %(now)s OR halted_at IS NOT NULL)
ORDER BY batch_id
