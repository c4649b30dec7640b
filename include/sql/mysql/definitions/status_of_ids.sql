-- Purpose: what an environment holds of given ids, whatever their status, to explain differences.
-- Grain: one row a row of the table.
-- Parameters: table (identifier), ids.
SELECT id, status
FROM `{{ table }}`
WHERE id IN %(ids)s
