-- Purpose: the accident of the demo: somebody writes other digits into a synced draw, as if they were its newest version.
-- Grain: one row a draw.
-- Parameters: @period (INT64); @digits (ARRAY<INT64>) and their @total (INT64); @stamp (TIMESTAMP) newer than any version
--   of the source; @window_start, @window_end (TIMESTAMP) draw times that hold it, half open.
-- Repeatable: it sets values, it adds none.
UPDATE `{{ project }}.{{ target_dataset }}.draws`
SET numbers = @digits, sum_value = @total, updated_at = @stamp
WHERE timestamp >= @window_start AND timestamp < @window_end AND period = @period
