-- Purpose: how long fresh draws took from their draw to their row in the target.
-- Grain: one row; seconds.
-- Parameters: live_from, window_end TIMESTAMP (half-open), the draws that fell while the demo ran.
SELECT
  COUNT(*) AS fresh,
  APPROX_QUANTILES(TIMESTAMP_DIFF(synced_at, timestamp, MILLISECOND) / 1000, 100)[OFFSET(50)] AS p50,
  APPROX_QUANTILES(TIMESTAMP_DIFF(synced_at, timestamp, MILLISECOND) / 1000, 100)[OFFSET(95)] AS p95,
  APPROX_QUANTILES(TIMESTAMP_DIFF(synced_at, timestamp, MILLISECOND) / 1000, 100)[OFFSET(99)] AS p99
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE timestamp >= @live_from AND timestamp < @window_end;
