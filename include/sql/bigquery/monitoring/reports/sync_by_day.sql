-- Purpose: synced intervals by day against the five-minute grid, from the first interval ever synced on.
-- Grain: one row a Beijing day.
-- Parameters: @start, @end (TIMESTAMP, half open).
SELECT
  DATE(slot, 'Asia/Shanghai') AS beijing_day,
  COUNT(*) AS expected,
  COUNTIF(done.interval_start IS NOT NULL) AS succeeded
FROM UNNEST(GENERATE_TIMESTAMP_ARRAY(@start, TIMESTAMP_SUB(@end, INTERVAL 10 MINUTE), INTERVAL 5 MINUTE)) AS slot
LEFT JOIN (
  SELECT DISTINCT interval_start
  FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
  WHERE finished_at >= @start AND dag_id = 'draw_sync' AND mode = 'interval' AND status = 'success'
) AS done
  ON slot = done.interval_start
CROSS JOIN (
  SELECT MIN(interval_start) AS first_interval
  FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
  WHERE dag_id = 'draw_sync' AND mode = 'interval'
) AS ever
WHERE slot >= COALESCE(ever.first_interval, TIMESTAMP '2000-01-01 00:00:00+00')
GROUP BY beijing_day
ORDER BY beijing_day;
