-- Purpose: how many features each hour has, of which issues, and the fingerprint of the draws that they were computed
--   from: where it equals that of draws_hourly_mv, every draw of the hour has one row of features, from its values.
-- Grain: one row per UTC hour with features.
-- Repeatable: the view is recreated; BigQuery keeps the content equal to the base table.
-- The text of a row is the one that draws_hourly_mv has: TO_JSON_STRING of three digits is [8,8,4].
CREATE OR REPLACE MATERIALIZED VIEW `{{ project }}.{{ target_dataset }}.draws_14w_hourly_mv`
PARTITION BY DATE(hour_utc)
OPTIONS (enable_refresh = TRUE, refresh_interval_minutes = 30)
AS
SELECT
  TIMESTAMP_TRUNC(ts_utc, HOUR) AS hour_utc,
  COUNT(*) AS draws,
  MIN(issue) AS first_issue,
  MAX(issue) AS last_issue,
  BIT_XOR(
    FARM_FINGERPRINT(FORMAT('%d %d [%d,%d,%d] %d', issue, UNIX_MICROS(ts_utc), a, b, c, sum))
  ) AS fingerprint
FROM `{{ project }}.{{ target_dataset }}.draws_14w`
WHERE ts_utc >= TIMESTAMP '2000-01-01 00:00:00+00'
GROUP BY hour_utc;
