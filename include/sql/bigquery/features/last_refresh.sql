-- Purpose: when the last complete refresh began; what was synced since then has not been looked at.
-- Grain: one row; NULL when there was none.
-- Parameters: @since (TIMESTAMP): how far back to look.
SELECT MAX(started_at) AS started_at
FROM `{{ project }}.{{ monitor_dataset }}.feature_update_log`
WHERE status = 'success' AND NOT rebuild AND finished_at >= @since
