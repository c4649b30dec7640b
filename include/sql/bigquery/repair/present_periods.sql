-- Purpose: which of these draws a side has.
-- Grain: one row a period and side.
-- Parameters: @periods (ARRAY<INT64>); @read_from, @read_until (TIMESTAMP) what holds every row of them, half open.
SELECT DISTINCT period, side
FROM (
  SELECT period, 'source' AS side
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until AND period IN UNNEST(@periods)
  UNION ALL
  SELECT period, 'target' AS side
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until AND period IN UNNEST(@periods)
)
ORDER BY period, side
