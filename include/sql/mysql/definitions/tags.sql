-- Purpose: the tags of one definition table with their member points, whatever their status.
-- Grain: one row a tag row.
-- Parameters: table (identifier).
SELECT id, status, eids
FROM `{{ table }}`
