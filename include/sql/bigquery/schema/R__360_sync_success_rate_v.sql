-- Purpose: the share of five-minute intervals that were synced. What counts is the grid, not the log: an interval without
--   a row is a failure. The grid begins with the first interval ever synced, and leaves out the last ten minutes.
--   The last success is the end of the newest run that succeeded, whenever that was and whichever interval it had.
-- Grain: one row a window (24 h, 7 d).
-- Parameters: the function takes the time of judgement; the view judges now.
-- judgeable: at 288 runs a day one failure is 99.65 %; 99.9 % can be judged from 1,000 runs on.

CREATE OR REPLACE TABLE FUNCTION `{{ project }}.{{ monitor_dataset }}.sync_success_rate_at`(as_of TIMESTAMP) AS
SELECT
  window_name,
  COUNT(slot) AS expected,
  COUNTIF(succeeded) AS succeeded,
  COUNT(slot) - COUNTIF(succeeded) AS failed,
  IF(COUNT(slot) > 0, ROUND(100 * COUNTIF(succeeded) / COUNT(slot), 3), NULL) AS success_rate,
  COUNT(slot) >= 1000 AS judgeable,
  MAX(last_success) AS last_success,
  COALESCE(TIMESTAMP_DIFF(as_of, MAX(last_success), SECOND) / 60, 99999) AS minutes_since_success
FROM (
  SELECT
    w.window_name,
    slot,
    ever.last_success,
    done.interval_start IS NOT NULL AS succeeded
  FROM
    UNNEST([STRUCT('24 h' AS window_name, 24 AS hours), STRUCT('7 d' AS window_name, 168 AS hours)]) AS w
  CROSS JOIN
    UNNEST(
      GENERATE_TIMESTAMP_ARRAY(
        TIMESTAMP_SUB(TIMESTAMP_TRUNC(as_of, HOUR), INTERVAL 168 HOUR),
        TIMESTAMP_SUB(as_of, INTERVAL 10 MINUTE),
        INTERVAL 5 MINUTE
      )
    ) AS slot
  LEFT JOIN (
    SELECT DISTINCT interval_start
    FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
    WHERE
      finished_at >= TIMESTAMP_SUB(as_of, INTERVAL 8 DAY) AND finished_at <= as_of
      AND dag_id = 'draw_sync' AND mode = 'interval' AND status = 'success'
  ) AS done
    ON slot = done.interval_start
  CROSS JOIN (
    SELECT
      MIN(interval_start) AS first_interval,
      MAX(IF(status = 'success', finished_at, NULL)) AS last_success
    FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
    WHERE finished_at <= as_of AND dag_id = 'draw_sync' AND mode = 'interval'
  ) AS ever
  WHERE
    slot >= TIMESTAMP_SUB(as_of, INTERVAL w.hours HOUR)
    AND slot >= COALESCE(ever.first_interval, TIMESTAMP '2000-01-01 00:00:00+00')
)
GROUP BY window_name;

CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.sync_success_rate_v`
OPTIONS (description = 'Synced intervals over the expected five-minute grid.') AS
SELECT window_name, expected, succeeded, failed, success_rate, judgeable, last_success, minutes_since_success
FROM `{{ project }}.{{ monitor_dataset }}.sync_success_rate_at`(CURRENT_TIMESTAMP());
