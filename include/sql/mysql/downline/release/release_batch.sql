-- Purpose: lift the halt of a batch, which is watched for a while yet. Its observation goes on from its first day: a
--          day before the release that never arrives is still needed.
-- Grain: one batch.
-- Parameters: batch_id, halted_at, halted_reason, watched_until.
-- Repeatable: only the halt that was approved is lifted; a later one is another halt.
UPDATE points_lifecycle.batch
SET halted_at = NULL, halted_reason = NULL, observe_until = GREATEST(observe_until, %(watched_until)s)
WHERE batch_id = %(batch_id)s AND halted_at = %(halted_at)s AND halted_reason = %(halted_reason)s
