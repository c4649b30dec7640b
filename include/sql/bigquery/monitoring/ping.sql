-- Purpose: does BigQuery answer at all. It reads no table.
-- Grain: one row.
SELECT 1 AS one;
