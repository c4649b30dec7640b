-- Purpose: find draws of any age whose newest collected version has not reached the target, late or corrected ones, or
--   is there beside another row: it was moved further in time than the sync looked.
-- Grain: one row a period.
-- Parameters: @since, @settled_before (TIMESTAMP) when the version was collected, half open; @earliest (TIMESTAMP) older
--   than any draw.
WITH collected AS (
  SELECT
    period,
    MAX(`{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    )) AS version
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @earliest AND ingested_at >= @since AND ingested_at < @settled_before
  GROUP BY period
),
present AS (
  SELECT
    period,
    COUNT(*) AS copies,
    MIN(`{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    )) AS version
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @earliest
  GROUP BY period
)
SELECT collected.period
FROM collected
LEFT JOIN present ON present.period = collected.period
WHERE present.period IS NULL OR present.version < collected.version OR present.copies > 1
ORDER BY collected.period
