-- Purpose: how many failed intervals wait for their replay, since when, and how many need a person.
-- Grain: one row, also when there is none.
-- Parameters: none. A view takes none, so ages move with the clock of whoever reads it.
CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.dead_letter_depth_v`
OPTIONS (description = 'Depth and age of the dead letters: one row.')
AS
SELECT
  COUNTIF(status = 'waiting') AS waiting,
  COUNTIF(status = 'set_aside') AS set_aside,
  COUNTIF(status = 'replayed') AS replayed,
  MIN(IF(status = 'waiting', first_failure, NULL)) AS oldest_failure,
  TIMESTAMP_DIFF(CURRENT_TIMESTAMP(), MIN(IF(status = 'waiting', first_failure, NULL)), SECOND) AS oldest_age_seconds
FROM `{{ project }}.{{ monitor_dataset }}.dead_letters`
WHERE first_failure >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 400 DAY);
