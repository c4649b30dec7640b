-- Purpose: can a table of draws be read, and what is its newest draw.
-- Grain: one row.
-- Parameters: @since (TIMESTAMP): older partitions are not read; identifier dataset.
SELECT
  MAX(timestamp) AS newest
FROM `{{ project }}.{{ dataset }}.draws`
WHERE timestamp >= @since;
