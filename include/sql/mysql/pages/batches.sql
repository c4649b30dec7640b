-- Purpose: the newest batches, for the board of the operations pages.
-- Grain: one row a batch.
-- Parameters: most (how many).
SELECT batch_id, candidates, state, confirmed_by, created_at, observe_from, observe_until, halted_at, halted_reason,
  window_end
FROM points_lifecycle.batch
ORDER BY created_at DESC, batch_id
LIMIT %(most)s
