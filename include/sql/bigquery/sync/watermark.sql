-- Purpose: the end of what scheduled syncs have covered without a gap. Each successful interval reached back to the
--   watermark before it, so everything before the latest one's end is covered. Ranges that people asked for do not
--   count: they may lie beyond a gap.
-- Grain: one row; NULL before the first success.
-- Parameters: retained_from TIMESTAMP, the age at which log rows expire.
SELECT MAX(interval_end) AS watermark
FROM `{{ project }}.{{ monitor_dataset }}.sync_log`
WHERE finished_at >= @retained_from
  AND mode = 'interval'
  AND status = 'success';
