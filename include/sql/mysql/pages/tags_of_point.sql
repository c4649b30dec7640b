-- Purpose: the tags that serve a point in an environment now.
-- Grain: one row a row of the table.
-- Parameters: table (identifier), point_id.
SELECT id, name, status
FROM `{{ table }}`
WHERE FIND_IN_SET(%(point_id)s, REPLACE(eids, ' ', '')) > 0
ORDER BY id, status DESC
