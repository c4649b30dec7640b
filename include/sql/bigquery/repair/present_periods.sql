-- Purpose: which of these draws a side has.
-- Grain: one row a period and side.
-- Parameters: @periods (ARRAY<INT64>); @search_from, @search_to (TIMESTAMP) draw times to search, half open.
SELECT DISTINCT period, side
FROM (
  SELECT period, 'source' AS side
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @search_from AND timestamp < @search_to AND period IN UNNEST(@periods)
  UNION ALL
  SELECT period, 'target' AS side
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @search_from AND timestamp < @search_to AND period IN UNNEST(@periods)
)
ORDER BY period, side
