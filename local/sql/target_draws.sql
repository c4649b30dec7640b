-- Purpose: the synced draws of a window, for comparison with the simulator's truth.
-- Grain: one row a period; copies counts its rows, so a duplicate shows.
-- Parameters: window_start, window_end TIMESTAMP (half-open).
SELECT
  period,
  ANY_VALUE(numbers) AS numbers,
  COUNT(*) AS copies
FROM `{{ project }}.{{ target_dataset }}.draws`
WHERE timestamp >= @window_start AND timestamp < @window_end
GROUP BY period;
