-- Purpose: the accident of the demo: draws disappear from a table behind the pipeline's back.
-- Grain: one row a draw.
-- Parameters: @periods (ARRAY<INT64>); @window_start, @window_end (TIMESTAMP) draw times that hold them, half open.
-- Repeatable: a second call finds nothing to delete.
DELETE FROM `{{ project }}.{{ dataset }}.draws`
WHERE timestamp >= @window_start AND timestamp < @window_end
  AND period IN UNNEST(@periods)
