-- Purpose: for checks that are about to become alerts: since when each subject is checked, whether it has ever passed, and
--   when the monitor was last interrupted, and since when patience counts: the newest interruption restarts it if the
--   monitor had run uninterrupted for long enough before, else the one that restarted it last does.
-- Grain: one row a check and subject.
-- Parameters: @since, @now (TIMESTAMP): older results are not read, nor those that a clock ahead has stamped;
--   @silence_seconds (INT64): a longer time between two rounds is an interruption; @lately (TIMESTAMP): interruptions that
--   ended since then are counted; @patience_seconds (INT64): the least uninterrupted time after which an interruption
--   restarts the patience.
WITH results AS (
  SELECT check_name, subject, checked_at, status
  FROM `{{ project }}.{{ monitor_dataset }}.check_log`
  WHERE checked_at >= @since AND checked_at <= @now
),
rounds AS (
  SELECT checked_at, LAG(checked_at) OVER (ORDER BY checked_at) AS previous
  FROM (SELECT DISTINCT checked_at FROM results)
),
interrupted AS (
  SELECT checked_at, previous, LAG(checked_at) OVER (ORDER BY checked_at) AS resumed_before
  FROM rounds
  WHERE previous IS NULL OR TIMESTAMP_DIFF(checked_at, previous, SECOND) > @silence_seconds
),
run AS (
  SELECT
    MAX(previous) AS away_since,
    MAX(checked_at) AS resumed_at,
    MAX(
      IF(
        resumed_before IS NULL OR TIMESTAMP_DIFF(previous, resumed_before, SECOND) >= @patience_seconds,
        checked_at,
        NULL
      )
    ) AS patient_since,
    COUNTIF(checked_at >= @lately) AS interruptions
  FROM interrupted
)
SELECT
  results.check_name,
  results.subject,
  MIN(results.checked_at) AS first_checked_at,
  LOGICAL_OR(results.status = 'pass') AS has_passed,
  run.away_since,
  run.resumed_at,
  run.patient_since,
  run.interruptions
FROM results
CROSS JOIN run
GROUP BY results.check_name, results.subject, run.away_since, run.resumed_at, run.patient_since, run.interruptions
