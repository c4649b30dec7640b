-- Purpose: end-to-end latency of the draws of a period: from the draw to its row in the business table.
-- Grain: one row.
-- Parameters: @start, @end (TIMESTAMP, half open).
-- A corrected draw is left out: its newest write is not its first arrival. So is one that was drawn before the first poll
--   of the feed: it is history that was loaded.

SELECT
  COUNT(*) AS draws,
  APPROX_QUANTILES(TIMESTAMP_DIFF(synced_at, timestamp, SECOND), 100)[OFFSET(50)] AS p50,
  APPROX_QUANTILES(TIMESTAMP_DIFF(synced_at, timestamp, SECOND), 100)[OFFSET(95)] AS p95,
  APPROX_QUANTILES(TIMESTAMP_DIFF(synced_at, timestamp, SECOND), 100)[OFFSET(99)] AS p99
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE
  timestamp >= @start
  AND timestamp < @end
  AND updated_at IS NULL
  AND timestamp >= (
    SELECT COALESCE(MIN(polled_at), TIMESTAMP '2000-01-01 00:00:00+00')
    FROM `{{ project }}.{{ monitor_dataset }}.collect_log`
    WHERE polled_at >= TIMESTAMP_SUB(@start, INTERVAL 2 DAY)
  );
