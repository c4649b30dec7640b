-- Purpose: which draw times were written since the last feature refresh, however old they are.
-- Grain: one row a sync that wrote rows.
-- Parameters: @since (TIMESTAMP): syncs that ended at this time or later.
SELECT
  window_start,
  window_end
FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
WHERE affected > 0 AND finished_at >= @since
ORDER BY window_start
