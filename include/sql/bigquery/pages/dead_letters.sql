-- Purpose: failed sync intervals and what became of them.
-- Grain: one row a dead letter, newest first.
-- Parameters: @since (TIMESTAMP): older failures are not read.
SELECT
  dlq_id,
  dag_id,
  interval_start,
  interval_end,
  reason,
  message,
  attempts,
  first_failure,
  next_attempt_at,
  status,
  settled_at
FROM `{{ project }}.{{ monitor_dataset }}.dead_letters`
WHERE first_failure >= @since
ORDER BY first_failure DESC;
