-- Purpose: the state of source and target around a repair, for the incident report.
-- Grain: one row.
-- Parameters: @search_from, @search_to (TIMESTAMP) draw times, half open.
WITH source_periods AS (
  SELECT DISTINCT period
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @search_from AND timestamp < @search_to
),
target_rows AS (
  SELECT period, timestamp
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @search_from AND timestamp < @search_to
)
SELECT
  (SELECT COUNT(*) FROM source_periods) AS source_draws,
  (SELECT COUNT(DISTINCT period) FROM target_rows) AS target_draws,
  (SELECT COUNT(*) - COUNT(DISTINCT period) FROM target_rows) AS duplicates,
  (SELECT MAX(period) - MIN(period) + 1 - COUNT(DISTINCT period) FROM target_rows) AS missing_periods,
  (SELECT MAX(timestamp) FROM target_rows) AS newest_draw
