-- Purpose: which points are live, to decide whether a tag still has a live member.
-- Grain: one row a live row.
-- Parameters: table (identifier).
SELECT id
FROM `{{ table }}`
WHERE status > 0
