-- Purpose: the highest period that the older days of a table hold: a draw above it lies in the newer ones, if anywhere.
-- Grain: one row; NULL where there is no such day.
-- Parameters: earliest TIMESTAMP older than any draw; since TIMESTAMP, the end of the older days; cut TIMESTAMP, an
--   earlier day: the same for the days before it. The identifiers dataset, view and last are a table's hourly counts.
SELECT
  MAX({{ last }}) AS highest,
  MAX(IF(hour_utc < @cut, {{ last }}, NULL)) AS before_cut
FROM `{{ project }}.{{ dataset }}.{{ view }}`
WHERE hour_utc >= @earliest AND hour_utc < @since;
