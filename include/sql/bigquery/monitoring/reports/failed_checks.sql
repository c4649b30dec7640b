-- Purpose: how often each check was made and failed, and how many alerts nobody acknowledged and that passed by
--   themselves within ten minutes: the candidates for false alarms.
-- Grain: one row a check.
-- Parameters: @start, @end (TIMESTAMP, half open).
SELECT
  results.check_name,
  results.made,
  results.failed,
  COALESCE(fired.alerts, 0) AS alerts,
  COALESCE(fired.doubtful, 0) AS doubtful
FROM (
  SELECT
    check_name,
    -- A row that was streamed twice counts once.
    COUNT(DISTINCT CONCAT(subject, ' ', CAST(checked_at AS STRING))) AS made,
    COUNT(DISTINCT IF(status = 'fail', CONCAT(subject, ' ', CAST(checked_at AS STRING)), NULL)) AS failed
  FROM `{{ project }}.{{ monitor_dataset }}.check_log`
  WHERE checked_at >= @start AND checked_at < @end
  GROUP BY check_name
) AS results
LEFT JOIN (
  SELECT
    SPLIT(alert_key, ':')[SAFE_OFFSET(1)] AS check_name,
    COUNT(*) AS alerts,
    COUNTIF(
      acknowledged_at IS NULL AND resolved_at IS NOT NULL AND TIMESTAMP_DIFF(resolved_at, fired_at, SECOND) < 600
    ) AS doubtful
  FROM `{{ project }}.{{ monitor_dataset }}.alert_state_v`
  WHERE fired_at >= @start AND fired_at < @end AND STARTS_WITH(alert_key, 'check:')
  GROUP BY check_name
) AS fired
  ON results.check_name = fired.check_name
ORDER BY results.check_name;
