-- Purpose: what an environment says of one point now, whatever its status.
-- Grain: one row a row of the table; an id may have several.
-- Parameters: table (identifier), point_id.
SELECT status, people, lv1, lv2, description, modeltype, cluster, demand, last_modify_time, created_time
FROM `{{ table }}`
WHERE id = %(point_id)s
ORDER BY status DESC
