-- Purpose: what became of the newest five-minute intervals of the sync.
-- Grain: one row an attempt's DAG and interval, oldest first.
-- Parameters: @since (TIMESTAMP): attempts that ended earlier are not read.
SELECT
  interval_start,
  interval_end,
  dag_id,
  run_id,
  status,
  affected,
  finished_at,
  error
FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
WHERE finished_at >= @since AND mode = 'interval'
ORDER BY interval_start, finished_at;
