-- Purpose: lift the halt of a batch; use from before does not halt it again, and it is watched for a while yet.
-- Grain: one batch.
-- Parameters: batch_id, halted_at, halted_reason, observe_from, watched_until; missing_days (of the observation so far,
--             without evidence).
-- Repeatable: only the halt that was approved is lifted; a later one is another halt.
UPDATE points_lifecycle.batch
SET halted_at = NULL, halted_reason = NULL, observe_from = %(observe_from)s,
    observe_until = GREATEST(observe_until + INTERVAL %(missing_days)s DAY, %(watched_until)s)
WHERE batch_id = %(batch_id)s AND halted_at = %(halted_at)s AND halted_reason = %(halted_reason)s
