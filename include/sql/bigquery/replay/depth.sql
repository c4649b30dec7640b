-- Purpose: how many dead letters wait, since when, and how many were set aside.
-- Grain: one row.
-- Parameters: @retained_from (TIMESTAMP) older entries have expired.
SELECT
  COUNTIF(status = 'waiting') AS waiting,
  COUNTIF(status = 'set_aside') AS set_aside,
  MIN(IF(status = 'waiting', first_failure, NULL)) AS oldest_failure
FROM `{{ project }}.{{ monitor_dataset }}.dead_letters`
WHERE first_failure >= @retained_from
