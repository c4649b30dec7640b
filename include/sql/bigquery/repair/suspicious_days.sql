-- Purpose: find the days of the target that hold fewer draws than the periods between the draws before them and their
--   own last one: somewhere there a draw is missing. It reads the hourly counts, not the draws, so that the whole
--   history can be looked at every few minutes.
-- Grain: one row a UTC day that begins before the recent ones or follows a pause that does; the first row is the oldest
--   day in any case, for what the source may hold from before it.
-- Parameters: @earliest (TIMESTAMP) older than any draw; @recent_from (TIMESTAMP) later draws are compared one by one;
--   @known (ARRAY<INT64>) missing periods that need not be found again.
-- Note: BigQuery keeps the view equal to its table, also after a deletion.
WITH days AS (
  SELECT
    TIMESTAMP_TRUNC(hour_utc, DAY) AS day,
    SUM(draws) AS draws,
    MIN(first_period) AS first_period,
    MAX(last_period) AS last_period
  FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
  WHERE hour_utc >= @earliest
  GROUP BY day
),
spans AS (
  SELECT
    LAG(day) OVER (ORDER BY day) AS day_before,
    day,
    draws,
    COALESCE(
      MAX(last_period) OVER (ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING), first_period - 1
    ) AS period_before,
    MAX(last_period) OVER (ORDER BY day ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW) AS last_period
  FROM days
),
known AS (
  SELECT spans.day, COUNT(*) AS known_missing
  FROM UNNEST(@known) AS period
  INNER JOIN spans ON period > spans.period_before AND period <= spans.last_period
  GROUP BY spans.day
)
SELECT
  COALESCE(spans.day_before, spans.day) AS day_before,
  spans.day,
  spans.last_period - spans.period_before - spans.draws - COALESCE(known.known_missing, 0) AS missing
FROM spans
LEFT JOIN known ON known.day = spans.day
WHERE COALESCE(spans.day_before, spans.day) < @recent_from
  AND (
    spans.day_before IS NULL
    OR spans.last_period - spans.period_before > spans.draws + COALESCE(known.known_missing, 0)
  )
ORDER BY spans.day
