-- Purpose: which draws the target holds more than once.
-- Grain: one row a period.
-- Parameters: @period_from, @period_until (INT64) the periods in question and @read_from, @read_until (TIMESTAMP) what
--   holds every row of them, both half open.
SELECT period
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE timestamp >= @read_from AND timestamp < @read_until AND period >= @period_from AND period < @period_until
GROUP BY period
HAVING COUNT(*) > 1
ORDER BY period
