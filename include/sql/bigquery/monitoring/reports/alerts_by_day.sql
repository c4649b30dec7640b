-- Purpose: the alerts of checks that fired on each day of a period: together those of `failed_checks.sql`.
-- Grain: one row a Beijing day with alerts.
-- Parameters: @start, @end (TIMESTAMP, half open).
SELECT
  DATE(fired_at, 'Asia/Shanghai') AS beijing_day,
  COUNT(*) AS alerts
FROM `{{ project }}.{{ monitor_dataset }}.alert_state_v`
WHERE fired_at >= @start AND fired_at < @end AND STARTS_WITH(alert_key, 'check:')
GROUP BY beijing_day
ORDER BY beijing_day;
