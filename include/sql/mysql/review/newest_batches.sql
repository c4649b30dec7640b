-- Purpose: which batches exist, for whoever asked for one that does not.
-- Grain: one row a batch, the newest first.
-- Parameters: none.
SELECT batch_id, state
FROM points_lifecycle.batch
ORDER BY created_at DESC, batch_id DESC
LIMIT 20
