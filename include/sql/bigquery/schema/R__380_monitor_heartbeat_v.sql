-- Purpose: did the monitor itself run: the dead man's switch. Who watches it: the health endpoint, the deadline of
--   monitoring_checks, and the monitor when it is back.
-- Grain: one row. The longest gap is the longest interruption that ended within the last hour, or continues now. It is
--   seen as long as the round before it is at most a week old; a log without any round is a gap of 99999 s.
-- Parameters: none; judged now. Rounds after now are of a clock that was ahead, and left out.
CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.monitor_heartbeat_v`
OPTIONS (description = 'Last round of the monitor, and its longest interruption that reaches into the last hour.') AS
SELECT
  'monitoring_checks' AS monitor,
  MAX(rounds.checked_at) AS last_round,
  COALESCE(TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), MAX(rounds.checked_at), SECOND), 99999) AS seconds_ago,
  COUNTIF(rounds.checked_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR)) AS rounds_last_hour,
  GREATEST(
    COALESCE(TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), MAX(rounds.checked_at), SECOND), 99999),
    COALESCE(
      MAX(
        IF(
          rounds.checked_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 1 HOUR),
          TIMESTAMP_DIFF(rounds.checked_at, rounds.previous, SECOND),
          NULL
        )
      ),
      0
    )
  ) AS longest_gap_seconds
FROM UNNEST([1]) AS always
LEFT JOIN (
  SELECT
    checked_at,
    LAG(checked_at) OVER (ORDER BY checked_at) AS previous
  FROM (
    SELECT DISTINCT checked_at
    FROM `{{ project }}.{{ monitor_dataset }}.check_log`
    WHERE
      checked_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 7 DAY)
      AND checked_at <= CURRENT_TIMESTAMP()
  ) AS moments
) AS rounds
  ON TRUE;
