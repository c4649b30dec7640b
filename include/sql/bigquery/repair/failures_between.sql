-- Purpose: which syncs and polls failed around an incident, for its timeline.
-- Grain: one row a failed attempt.
-- Parameters: @from_time, @to_time (TIMESTAMP) when it failed, half open; @most (INT64) rows at most.
SELECT failed_at, what, error
FROM (
  SELECT finished_at AS failed_at, CONCAT(dag_id, '.', task_id) AS what, error
  FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
  WHERE status = 'failed' AND finished_at >= @from_time AND finished_at < @to_time
  UNION ALL
  SELECT polled_at AS failed_at, CONCAT(dag_id, '.', task_id) AS what, error
  FROM `{{ project }}.{{ monitor_dataset }}.collect_log`
  WHERE status = 'failed' AND polled_at >= @from_time AND polled_at < @to_time
)
ORDER BY failed_at
LIMIT @most
