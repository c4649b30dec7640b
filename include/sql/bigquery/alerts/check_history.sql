-- Purpose: for checks that are about to become alerts: since when each subject is checked, whether it has ever passed, when
--   the monitor was last interrupted, and since when patience counts: the end of the first interruption after the subject
--   passed last. Later ones prolong nothing; without any it is the end of the newest one.
-- Grain: one row a check and subject.
-- Parameters: @since, @now (TIMESTAMP): older results are not read, nor those that a clock ahead has stamped; there is a
--   round at @now, this one, whether or not what it has streamed can be read already; @silence_seconds (INT64): a longer
--   time between two rounds is an interruption; @lately (TIMESTAMP): interruptions that ended since then are counted.
WITH results AS (
  SELECT check_name, subject, checked_at, status
  FROM `{{ project }}.{{ monitor_dataset }}.check_log`
  WHERE checked_at >= @since AND checked_at <= @now
),
rounds AS (
  SELECT checked_at, LAG(checked_at) OVER (ORDER BY checked_at) AS previous
  FROM (
    SELECT checked_at FROM results
    UNION DISTINCT
    SELECT @now AS checked_at
  )
),
interrupted AS (
  SELECT checked_at AS resumed_at, previous
  FROM rounds
  WHERE previous IS NULL OR TIMESTAMP_DIFF(checked_at, previous, SECOND) > @silence_seconds
),
run AS (
  SELECT
    MAX(previous) AS away_since,
    MAX(resumed_at) AS resumed_at,
    COUNTIF(resumed_at >= @lately) AS interruptions
  FROM interrupted
),
subjects AS (
  SELECT
    check_name,
    subject,
    MIN(checked_at) AS first_checked_at,
    MAX(IF(status = 'pass', checked_at, NULL)) AS passed_at
  FROM results
  GROUP BY check_name, subject
)
SELECT
  subjects.check_name,
  subjects.subject,
  subjects.first_checked_at,
  subjects.passed_at IS NOT NULL AS has_passed,
  run.away_since,
  run.resumed_at,
  COALESCE(
    MIN(IF(interrupted.resumed_at > subjects.passed_at, interrupted.resumed_at, NULL)), run.resumed_at
  ) AS patient_since,
  run.interruptions
FROM subjects
CROSS JOIN run
CROSS JOIN interrupted
GROUP BY
  subjects.check_name,
  subjects.subject,
  subjects.first_checked_at,
  subjects.passed_at,
  run.away_since,
  run.resumed_at,
  run.interruptions
