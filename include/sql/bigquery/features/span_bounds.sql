-- Purpose: find the partitions that hold the lead-in before a changed span and the draws after it that read it.
-- Grain: one row: oldest and newest period and draw time within reach and within the searched range.
-- Parameters: @oldest_issue, @newest_issue (INT64) the periods in question; @search_from, @search_to (TIMESTAMP) draw
--   times to look in, half open.
SELECT
  MIN(period) AS oldest_issue,
  MIN(timestamp) AS oldest_ts,
  MAX(period) AS newest_issue,
  MAX(timestamp) AS newest_ts
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE timestamp >= @search_from AND timestamp < @search_to
  AND period BETWEEN @oldest_issue AND @newest_issue
