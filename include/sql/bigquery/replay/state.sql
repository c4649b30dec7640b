-- Purpose: the state of these dead letters.
-- Grain: one row a dlq_id.
-- Parameters: @dlq_ids (ARRAY<STRING>); @retained_from (TIMESTAMP) older entries have expired.
SELECT
  dlq_id, dag_id, task_id, run_id, job_id, interval_start, interval_end, mode, reason, message, retriable,
  first_failure, last_failure, attempts, next_attempt_at, status, settled_at
FROM `{{ project }}.{{ monitor_dataset }}.dead_letters`
WHERE first_failure >= @retained_from AND dlq_id IN UNNEST(@dlq_ids)
ORDER BY interval_start
