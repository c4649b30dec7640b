-- Purpose: how many draws should have arrived since the last one and have not: the cadence of drawsguard/draws/cadence.py
--   as SQL, compared with it by a test. A draw every 210 s; no draws in maintenance, 04:00 to 05:00 in Vancouver (05:30 on
--   Mondays), and the first one after it at its end. An allowance is the time that a draw may take to arrive.
-- Grain: scalar functions.
-- Parameters: the last draw's time, the time of judgement, the allowance (seconds).
CREATE OR REPLACE FUNCTION `{{ project }}.{{ monitor_dataset }}.in_maintenance`(moment TIMESTAMP)
RETURNS BOOL AS (
  TIME(moment, 'America/Vancouver') >= TIME '04:00:00'
  AND TIME(moment, 'America/Vancouver') < IF(
    EXTRACT(DAYOFWEEK FROM DATE(moment, 'America/Vancouver')) = 2, TIME '05:30:00', TIME '05:00:00'
  )
);

CREATE OR REPLACE FUNCTION `{{ project }}.{{ monitor_dataset }}.overdue_draws`(
  last_draw TIMESTAMP, as_of TIMESTAMP, allowance_seconds INT64
) RETURNS INT64 AS ((
  -- Draws fall on a grid from the last draw on, and on a new one from the end of each maintenance on.
  SELECT
    CAST(COALESCE(SUM(CEIL(GREATEST(0, TIMESTAMP_DIFF(closes, opens, MILLISECOND)) / 210000)), 0) AS INT64)
  FROM (
    SELECT
      IF(last_draw < reopened, reopened, TIMESTAMP_ADD(last_draw, INTERVAL 210 SECOND)) AS opens,
      LEAST(
        TIMESTAMP(DATETIME(local_day, TIME '04:00:00'), 'America/Vancouver'),
        TIMESTAMP_ADD(as_of, INTERVAL 1 - 1000 * allowance_seconds MILLISECOND)
      ) AS closes
    FROM (
      SELECT
        local_day,
        TIMESTAMP_ADD(
          TIMESTAMP(DATETIME(DATE_SUB(local_day, INTERVAL 1 DAY), TIME '04:00:00'), 'America/Vancouver'),
          INTERVAL IF(EXTRACT(DAYOFWEEK FROM local_day) = 3, 90, 60) MINUTE
        ) AS reopened
      FROM
        UNNEST(
          GENERATE_DATE_ARRAY(
            DATE(last_draw, 'America/Vancouver'), DATE_ADD(DATE(as_of, 'America/Vancouver'), INTERVAL 1 DAY)
          )
        ) AS local_day
    ) AS days
  ) AS spans
));
