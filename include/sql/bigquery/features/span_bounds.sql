-- Purpose: find where the rows of some periods lie, whatever their times: the hull of all hours that may hold one, told
--   by the oldest and the newest period of each hour.
-- Grain: one row; NULL for a table that has none of them.
-- Parameters: @earliest (TIMESTAMP) older than any draw; @lead_in_issue, @last_issue (INT64) the draws in question, both
--   included; @first_issue (INT64) from here to @last_issue, their features.
SELECT
  drawn.time_from AS draws_from,
  drawn.time_to AS draws_to,
  computed.time_from AS features_from,
  computed.time_to AS features_to,
  GREATEST(COALESCE(drawn.newest, computed.newest), COALESCE(computed.newest, drawn.newest)) AS newest_issue
FROM (
  SELECT
    MIN(hour_utc) AS time_from, TIMESTAMP_ADD(MAX(hour_utc), INTERVAL 1 HOUR) AS time_to, MAX(last_period) AS newest
  FROM `{{ project }}.{{ target_dataset }}.draws_hourly_mv`
  WHERE hour_utc >= @earliest AND first_period <= @last_issue AND last_period >= @lead_in_issue
) AS drawn
CROSS JOIN (
  SELECT
    MIN(hour_utc) AS time_from, TIMESTAMP_ADD(MAX(hour_utc), INTERVAL 1 HOUR) AS time_to, MAX(last_issue) AS newest
  FROM `{{ project }}.{{ target_dataset }}.draws_14w_hourly_mv`
  WHERE hour_utc >= @earliest AND first_issue <= @last_issue AND last_issue >= @first_issue
) AS computed
