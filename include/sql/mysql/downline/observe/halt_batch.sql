-- Purpose: keep a batch from being cleaned up.
-- Grain: one batch.
-- Parameters: batch_id, halted_at, halted_reason.
-- Repeatable: the first halt stays.
UPDATE points_lifecycle.batch
SET halted_at = %(halted_at)s, halted_reason = %(halted_reason)s
WHERE batch_id = %(batch_id)s AND halted_at IS NULL
