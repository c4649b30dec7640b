-- Purpose: how many five-minute intervals were synced each day, and what the sync's statements were billed for.
-- Grain: one row a Beijing day of intervals, oldest first.
-- Parameters: @since (TIMESTAMP): earlier attempts are not read.
SELECT
  DATE(interval_start, 'Asia/Shanghai') AS beijing_day,
  COUNT(DISTINCT IF(dag_id = 'draw_sync' AND status = 'success', interval_start, NULL)) AS succeeded,
  MIN(interval_start) AS first_interval,
  COALESCE(SUM(bytes_billed), 0) AS bytes_billed
FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
WHERE finished_at >= @since AND mode = 'interval'
GROUP BY beijing_day
ORDER BY beijing_day;
