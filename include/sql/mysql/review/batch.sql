-- Purpose: what is known of a batch; locked, so that two runs of the same batch take turns.
-- Grain: one row a batch.
-- Parameters: batch_id.
SELECT batch_id, environment, window_start, window_end, candidate_digest, state, confirmed_by, observe_from,
       observe_until, halted_at, halted_reason
FROM points_lifecycle.batch
WHERE batch_id = %(batch_id)s
FOR UPDATE
