-- Purpose: which points are live, to tell whether a tag still has a live member.
-- Grain: one row a live row.
-- Parameters: table (identifier).
-- Why it can be re-run: reads only.
SELECT id
FROM `{{ table }}`
WHERE status > 0
