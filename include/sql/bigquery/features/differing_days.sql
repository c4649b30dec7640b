-- Purpose: find the days whose draws are not those that the features were computed from. It reads the hourly counts and
--   fingerprints that BigQuery keeps of both tables, not the tables, so that each refresh looks at the whole history.
-- Grain: one row a UTC day with such an hour, oldest first.
-- Parameters: @earliest (TIMESTAMP) older than any draw.
-- Note: a draw that the target holds twice makes its hours differ, although its features are right.
SELECT TIMESTAMP_TRUNC(COALESCE(drawn.hour_utc, computed.hour_utc), DAY) AS day
FROM (
  SELECT hour_utc, draws, fingerprint
  FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
  WHERE hour_utc >= @earliest
) AS drawn
FULL JOIN (
  SELECT hour_utc, draws, fingerprint
  FROM `{{ project }}.{{ target_dataset }}.draws_14w_hourly_mv`
  WHERE hour_utc >= @earliest
) AS computed
  ON computed.hour_utc = drawn.hour_utc
WHERE drawn.draws IS DISTINCT FROM computed.draws
  OR drawn.fingerprint IS DISTINCT FROM computed.fingerprint
GROUP BY day
ORDER BY day
