-- Purpose: which draws earlier checks found missing and could not repair, and when the feed was last asked for them.
-- Grain: one row a period.
-- Parameters: @retained_from (TIMESTAMP) older entries have expired.
SELECT period, detected_at, asked_at
FROM `{{ project }}.{{ monitor_dataset }}.repair_log`
WHERE detected_at >= @retained_from AND status != 'repaired'
ORDER BY period
