-- Purpose: the tags of one definition table with their member points, whatever their status.
-- Grain: one row a tag row.
-- Parameters: table (identifier).
-- Why it can be re-run: reads only.
SELECT id, status, eids
FROM `{{ table }}`
