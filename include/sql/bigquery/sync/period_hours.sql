-- Purpose: in which span of time every version of these periods lies, on either side and over the whole history. A
--   correction may move a draw anywhere: a MERGE that does not see the old row would insert the draw again.
-- Grain: one row, whole hours, end exclusive; NULLs when neither side has such a period.
-- Parameters: period_from, period_until INT64 (half-open); earliest TIMESTAMP older than any draw.
-- Note: it reads the hours that BigQuery keeps, not the draws, so its cost does not grow with the tables. An hour counts
--   when the range of its periods meets those in question: that may be wider than needed, and is never too narrow.
SELECT
  MIN(hour_utc) AS first_hour,
  TIMESTAMP_ADD(MAX(hour_utc), INTERVAL 1 HOUR) AS end_hour
FROM (
  SELECT hour_utc
  FROM `{{ project }}.{{ source_dataset }}.draw_versions_hourly_mv`
  WHERE hour_utc >= @earliest AND first_period < @period_until AND last_period >= @period_from
  UNION ALL
  SELECT hour_utc
  FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
  WHERE hour_utc >= @earliest AND first_period < @period_until AND last_period >= @period_from
);
