-- Purpose: the live points of one definition table.
-- Grain: one row a live row; an id may have several.
-- Parameters: table (identifier).
SELECT id, status, people, lv1, lv2, description, modeltype, cluster, demand, last_modify_time, created_time
FROM `{{ table }}`
WHERE status > 0
