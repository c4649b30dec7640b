-- Purpose: how long fresh draws took from their publication by the feed to their row in the target, and to their features.
-- Grain: one row; seconds.
-- Parameters: live_from, window_end TIMESTAMP (half-open), the draws that fell while the demo ran.
-- A corrected draw is left out: its newest write is not its first arrival.
SELECT
  COUNT(*) AS fresh,
  APPROX_QUANTILES(to_target, 100)[OFFSET(50)] AS p50,
  APPROX_QUANTILES(to_target, 100)[OFFSET(95)] AS p95,
  APPROX_QUANTILES(to_target, 100)[OFFSET(99)] AS p99,
  APPROX_QUANTILES(to_features, 100)[OFFSET(95)] AS features_p95
FROM (
  SELECT
    TIMESTAMP_DIFF(drawn.synced_at, drawn.created_at, MILLISECOND) / 1000 AS to_target,
    TIMESTAMP_DIFF(computed.computed_at, drawn.created_at, MILLISECOND) / 1000 AS to_features
  FROM (
    SELECT period, created_at, synced_at
    FROM `{{ project }}.{{ target_dataset }}.draws`
    WHERE timestamp >= @live_from AND timestamp < @window_end AND updated_at IS NULL
  ) AS drawn
  LEFT JOIN (
    SELECT issue, computed_at
    FROM `{{ project }}.{{ target_dataset }}.draws_14w`
    WHERE ts_utc >= @live_from AND ts_utc < @window_end
  ) AS computed ON computed.issue = drawn.period
);
