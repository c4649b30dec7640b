-- Purpose: record a replay: that it begins, or how it ended.
-- Grain: one row a dlq_id.
-- Parameters: @dlq_id (STRING), @attempts (INT64), @next_attempt_at (TIMESTAMP), @status (STRING), @settled_at
--   (TIMESTAMP or NULL), @reason and @message (STRING, or NULL to keep them); @retained_from (TIMESTAMP).
-- Repeatable: it sets values, it adds none.
UPDATE `{{ project }}.{{ monitor_dataset }}.dead_letters`
SET
  attempts = @attempts,
  next_attempt_at = @next_attempt_at,
  status = @status,
  settled_at = @settled_at,
  reason = COALESCE(@reason, reason),
  message = COALESCE(@message, message)
WHERE dlq_id = @dlq_id AND first_failure >= @retained_from
