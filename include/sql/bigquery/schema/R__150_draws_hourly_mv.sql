-- Purpose: sums and counts per hour, from which every daily and weekly statistic can be added up, and a fingerprint by
--   which the draws are compared with their features without reading either (draws_14w_hourly_mv has the same).
-- Grain: one row per UTC hour with draws.
-- Repeatable: the view is recreated; BigQuery keeps the content equal to the base table.
-- Hours, because a Beijing day begins at 16:00 UTC; sums of squares, because STDDEV is not incremental. BIT_XOR is, and
-- does not depend on the order of the rows; two equal rows cancel each other out there, and show in the count.
-- The fingerprint tells together with the count whether hours hold each period of a range exactly once.
CREATE OR REPLACE MATERIALIZED VIEW `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
PARTITION BY DATE(hour_utc)
OPTIONS (enable_refresh = TRUE, refresh_interval_minutes = 30)
AS
SELECT
  TIMESTAMP_TRUNC(timestamp, HOUR) AS hour_utc,
  COUNT(*) AS draws,
  SUM(sum_value) AS sum_total,
  SUM(sum_value * sum_value) AS sum_squares,
  COUNTIF(sum_value >= 14) AS big_draws,
  COUNTIF(MOD(sum_value, 2) = 1) AS odd_draws,
  MIN(period) AS first_period,
  MAX(period) AS last_period,
  BIT_XOR(FARM_FINGERPRINT(CAST(period AS STRING))) AS period_fingerprint,
  BIT_XOR(
    FARM_FINGERPRINT(FORMAT('%d %d %s %d', period, UNIX_MICROS(timestamp), TO_JSON_STRING(numbers), sum_value))
  ) AS fingerprint
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE timestamp >= TIMESTAMP '2000-01-01 00:00:00+00'
GROUP BY hour_utc;
