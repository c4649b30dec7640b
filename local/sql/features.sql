-- Purpose: how many features there are, and what refreshes and rebuilds of the demo have written.
-- Grain: one row.
-- Parameters: @since (TIMESTAMP) the start of the demo; @window_start, @window_end (TIMESTAMP) draw times, half open.
SELECT
  stored.feature_rows,
  logged.refreshes,
  logged.rebuilt_rows
FROM (
  SELECT COUNT(*) AS feature_rows
  FROM `{{ project }}.{{ target_dataset }}.draws_14w`
  WHERE ts_utc >= @window_start AND ts_utc < @window_end
) AS stored
CROSS JOIN (
  SELECT
    COUNT(DISTINCT IF(NOT rebuild, run_id, NULL)) AS refreshes,
    SUM(IF(rebuild, rows_written, 0)) AS rebuilt_rows
  FROM (
    -- A streamed row may be there twice.
    SELECT DISTINCT run_id, rebuild, first_issue, finished_at, rows_written
    FROM `{{ project }}.{{ monitor_dataset }}.feature_update_log`
    WHERE finished_at >= @since AND status = 'success'
  )
) AS logged
