-- Purpose: what became of the failed intervals of the demo.
-- Grain: one row.
-- Parameters: @since (TIMESTAMP) the start of the demo.
SELECT
  COUNT(*) AS failed,
  COUNTIF(status = 'replayed') AS replayed,
  COUNTIF(status = 'set_aside') AS set_aside
FROM `{{ project }}.{{ monitor_dataset }}.dead_letters`
WHERE first_failure >= @since
