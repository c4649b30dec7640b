-- Purpose: how many draws the collector holds in a window, and how many rows it set aside in all.
-- Grain: one row.
-- Parameters: window_start, window_end TIMESTAMP (half-open).
SELECT
  (
    SELECT COUNT(DISTINCT period)
    FROM `{{ project }}.{{ source_dataset }}.draws`
    WHERE timestamp >= @window_start AND timestamp < @window_end
  ) AS periods,
  (
    SELECT COUNT(*)
    FROM `{{ project }}.{{ source_dataset }}.draws_quarantine`
  ) AS quarantined;
