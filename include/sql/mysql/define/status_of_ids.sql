-- Purpose: what an environment holds of given ids, whatever their status, to explain differences.
-- Grain: one row a row of the table.
-- Parameters: table (identifier), ids.
-- Why it can be re-run: reads only.
SELECT id, status
FROM `{{ table }}`
WHERE id IN %(ids)s
