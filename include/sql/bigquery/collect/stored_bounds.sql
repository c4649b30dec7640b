-- Purpose: where the source holds versions of these periods and of the draws next to them, over the whole history.
-- Grain: one row; NULLs for an empty source. Times are whole hours; both ends are exclusive.
-- Parameters: @first_period, @last_period (INT64, inclusive); @earliest (TIMESTAMP) older than any draw.
-- Note: it reads the hours that BigQuery keeps, not the draws.
WITH hours AS (
  SELECT hour_utc, first_period, last_period
  FROM `{{ project }}.{{ source_dataset }}.draw_versions_hourly_mv`
  WHERE hour_utc >= @earliest
),
around AS (
  SELECT hour_utc, first_period, last_period
  FROM hours
  WHERE first_period <= @last_period AND last_period >= @first_period
  UNION ALL
  SELECT hour_utc, first_period, last_period
  FROM (
    SELECT hour_utc, first_period, last_period
    FROM hours
    WHERE last_period < @first_period
    ORDER BY last_period DESC
    LIMIT 4
  )
  UNION ALL
  SELECT hour_utc, first_period, last_period
  FROM (
    SELECT hour_utc, first_period, last_period
    FROM hours
    WHERE first_period > @last_period
    ORDER BY first_period
    LIMIT 4
  )
)
SELECT
  MIN(hour_utc) AS read_from,
  TIMESTAMP_ADD(MAX(hour_utc), INTERVAL 1 HOUR) AS read_until,
  MIN(first_period) AS period_from,
  MAX(last_period) + 1 AS period_until
FROM around
