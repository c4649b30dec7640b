-- Purpose: how long draws take to the business table, by day. A corrected draw is left out: its newest write is not its
--   first arrival; so is one that was brought in more than a day late, by a repair or a migration.
-- Grain: one row a Beijing day with draws, oldest first.
-- Parameters: @since (TIMESTAMP): older draws are not read.
SELECT
  beijing_day,
  COUNT(seconds) AS draws,
  APPROX_QUANTILES(seconds, 100)[OFFSET(50)] AS p50,
  APPROX_QUANTILES(seconds, 100)[OFFSET(95)] AS p95,
  APPROX_QUANTILES(seconds, 100)[OFFSET(99)] AS p99
FROM (
  SELECT
    DATE(timestamp, 'Asia/Shanghai') AS beijing_day,
    TIMESTAMP_DIFF(synced_at, timestamp, SECOND) AS seconds
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE
    timestamp >= @since AND updated_at IS NULL AND synced_at <= TIMESTAMP_ADD(timestamp, INTERVAL 1 DAY)
)
GROUP BY beijing_day
ORDER BY beijing_day;
