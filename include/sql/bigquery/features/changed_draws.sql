-- Purpose: find the draws of a window whose row in draws_14w is missing or was computed from other values.
-- Grain: one row: first and last changed issue, their times, how many.
-- Parameters: @window_from, @window_to (TIMESTAMP) draw times, half open; @rebuild (BOOL) count every draw as changed.
-- Note: after a refresh of what it found it finds nothing.
-- The feature side reads a day more on both ends: the time of a draw may have been corrected across the bound.
SELECT
  MIN(draw.period) AS first_issue,
  MAX(draw.period) AS last_issue,
  MIN(LEAST(draw.timestamp, COALESCE(feature.ts_utc, draw.timestamp))) AS first_ts,
  MAX(GREATEST(draw.timestamp, COALESCE(feature.ts_utc, draw.timestamp))) AS last_ts,
  COUNT(DISTINCT draw.period) AS changed
FROM `{{ project }}.{{ target_dataset }}.draws` AS draw
LEFT JOIN (
  SELECT issue, ts_utc, a, b, c, sum
  FROM `{{ project }}.{{ target_dataset }}.draws_14w`
  WHERE ts_utc >= TIMESTAMP_SUB(@window_from, INTERVAL 1 DAY) AND ts_utc < TIMESTAMP_ADD(@window_to, INTERVAL 1 DAY)
) AS feature
  ON feature.issue = draw.period
WHERE draw.timestamp >= @window_from AND draw.timestamp < @window_to
  AND (
    @rebuild
    OR feature.issue IS NULL
    OR feature.ts_utc != draw.timestamp
    OR feature.a != draw.numbers[OFFSET(0)]
    OR feature.b != draw.numbers[OFFSET(1)]
    OR feature.c != draw.numbers[OFFSET(2)]
    OR feature.sum != draw.sum_value
  )
