-- Purpose: end-to-end latency of the draws of each day of a period, of the draws that `latency.sql` counts.
-- Grain: one row a Beijing day with draws.
-- Parameters: @start, @end (TIMESTAMP, half open).
SELECT
  DATE(timestamp, 'Asia/Shanghai') AS beijing_day,
  APPROX_QUANTILES(TIMESTAMP_DIFF(synced_at, timestamp, SECOND), 100)[OFFSET(95)] AS p95
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE
  timestamp >= @start
  AND timestamp < @end
  AND updated_at IS NULL
  AND timestamp >= (
    SELECT COALESCE(MIN(polled_at), TIMESTAMP '2000-01-01 00:00:00+00')
    FROM `{{ project }}.{{ monitor_dataset }}.collect_log`
    WHERE polled_at >= TIMESTAMP_SUB(@start, INTERVAL 2 DAY)
  )
GROUP BY beijing_day
ORDER BY beijing_day;
