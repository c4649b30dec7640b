-- Purpose: evidence of one poll of the feed, successful or not.
-- Grain: one row a poll; (run_id, try_number, poll_number) names it.
-- Parameters: a column each.
-- Repeatable: a repeated poll is a poll of its own, with its own try_number or polled_at.

INSERT INTO `{{ project }}.{{ monitor_dataset }}.collect_log` (
  dag_id,
  task_id,
  run_id,
  try_number,
  poll_number,
  polled_at,
  http_status,
  received,
  inserted,
  quarantined,
  seconds,
  status,
  error
)
SELECT
  @dag_id,
  @task_id,
  @run_id,
  @try_number,
  @poll_number,
  @polled_at,
  @http_status,
  @received,
  @inserted,
  @quarantined,
  @seconds,
  @status,
  @error;
