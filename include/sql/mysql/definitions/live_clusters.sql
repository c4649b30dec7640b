-- Purpose: which points a table may serve that only has a name like a definition table's, and where their data is.
-- Grain: one row a live row.
-- Parameters: table (identifier).
SELECT id, cluster
FROM `{{ table }}`
WHERE status > 0
