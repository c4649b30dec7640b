-- Purpose: which months the legacy table holds.
-- Grain: one row a UTC month.
-- Parameters: @earliest (TIMESTAMP) older than any draw.
SELECT DISTINCT FORMAT_TIMESTAMP('%Y-%m', timestamp) AS month
FROM `{{ project }}.{{ dataset }}.{{ table }}`
WHERE timestamp >= @earliest
ORDER BY month
