-- Purpose: the periods that a window touches, on either side.
-- Grain: one row; NULLs when the window holds no draw.
-- Parameters: window_start, window_end TIMESTAMP (half-open).
SELECT
  MIN(period) AS first_period,
  MAX(period) AS last_period
FROM (
  SELECT period
  FROM `{{ project }}.{{ source_dataset }}.draws`
  WHERE timestamp >= @window_start AND timestamp < @window_end
  UNION ALL
  SELECT period
  FROM `{{ project }}.{{ target_dataset }}.draws`
  WHERE timestamp >= @window_start AND timestamp < @window_end
);
