-- Purpose: enter a letter into dead_letters; one that was settled before it failed again is opened again.
-- Grain: one row a dlq_id.
-- Parameters: the columns of dead_letters that come with the letter, of the same names; @failed_at (TIMESTAMP) when it
--   failed; @retained_from (TIMESTAMP) older entries have expired.
-- Repeatable: MERGE on dlq_id; a letter that was delivered twice changes nothing the second time.
MERGE `{{ project }}.{{ monitor_dataset }}.dead_letters` AS target
USING (
  SELECT
    @dlq_id AS dlq_id, @dag_id AS dag_id, @task_id AS task_id, @run_id AS run_id, @try_number AS try_number,
    @job_id AS job_id, @interval_start AS interval_start, @interval_end AS interval_end, @mode AS mode,
    @reason AS reason, @message AS message, @retriable AS retriable, @failed_at AS failed_at
) AS source
ON target.dlq_id = source.dlq_id AND target.first_failure >= @retained_from
WHEN MATCHED AND target.status != 'waiting' AND source.failed_at > target.settled_at THEN UPDATE SET
  run_id = source.run_id,
  try_number = source.try_number,
  job_id = source.job_id,
  interval_end = source.interval_end,
  mode = source.mode,
  reason = source.reason,
  message = source.message,
  retriable = source.retriable,
  first_failure = source.failed_at,
  last_failure = source.failed_at,
  attempts = 0,
  next_attempt_at = source.failed_at,
  status = 'waiting',
  settled_at = NULL
WHEN MATCHED AND target.status = 'waiting' AND source.failed_at > target.last_failure THEN UPDATE SET
  run_id = source.run_id,
  try_number = source.try_number,
  job_id = source.job_id,
  interval_end = GREATEST(target.interval_end, source.interval_end),
  reason = source.reason,
  message = source.message,
  retriable = source.retriable,
  last_failure = source.failed_at
WHEN NOT MATCHED THEN INSERT (
  dlq_id, dag_id, task_id, run_id, try_number, job_id, interval_start, interval_end, mode, reason, message, retriable,
  first_failure, last_failure, attempts, next_attempt_at, status
) VALUES (
  source.dlq_id, source.dag_id, source.task_id, source.run_id, source.try_number, source.job_id, source.interval_start,
  source.interval_end, source.mode, source.reason, source.message, source.retriable, source.failed_at, source.failed_at,
  0, source.failed_at, 'waiting'
)
