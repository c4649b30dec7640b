-- Purpose: for checks that are about to become alerts: since when each subject is checked, whether it has ever passed, and
--   when the monitor was last interrupted.
-- Grain: one row a check and subject.
-- Parameters: @since (TIMESTAMP): older results are not read; @silence_seconds (INT64): a longer time between two rounds
--   is an interruption; @lately (TIMESTAMP): interruptions that ended since then are counted.
WITH results AS (
  SELECT check_name, subject, checked_at, status
  FROM `{{ project }}.{{ monitor_dataset }}.check_log`
  WHERE checked_at >= @since
),
rounds AS (
  SELECT checked_at, LAG(checked_at) OVER (ORDER BY checked_at) AS previous
  FROM (SELECT DISTINCT checked_at FROM results)
),
run AS (
  SELECT
    MAX(previous) AS away_since,
    MAX(checked_at) AS resumed_at,
    COUNTIF(checked_at >= @lately) AS interruptions
  FROM rounds
  WHERE previous IS NULL OR TIMESTAMP_DIFF(checked_at, previous, SECOND) > @silence_seconds
)
SELECT
  results.check_name,
  results.subject,
  MIN(results.checked_at) AS first_checked_at,
  LOGICAL_OR(results.status = 'pass') AS has_passed,
  run.away_since,
  run.resumed_at,
  run.interruptions
FROM results
CROSS JOIN run
GROUP BY results.check_name, results.subject, run.away_since, run.resumed_at, run.interruptions
