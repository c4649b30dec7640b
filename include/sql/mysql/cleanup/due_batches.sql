-- Purpose: the batches whose time of observation is over, without use or objection, and that are not cleaned yet.
-- Grain: one row a batch.
-- Parameters: now.
SELECT batch_id, observe_from, observe_until
FROM points_lifecycle.batch
WHERE state IN ('downlined', 'cleaning') AND observe_until <= %(now)s AND halted_at IS NULL
ORDER BY batch_id
