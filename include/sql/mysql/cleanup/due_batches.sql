-- Purpose: the batches whose observation has ended without use or objection and that are not cleaned yet.
-- Grain: one row a batch.
-- Parameters: now.
-- Why it can be re-run: reads only.
SELECT batch_id, confirmed_by
FROM points_lifecycle.batch
WHERE state = 'downlined' AND observe_until <= %(now)s AND halted_at IS NULL
ORDER BY batch_id
