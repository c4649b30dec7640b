-- Purpose: give one row its old status and last_modify_time back.
-- Grain: one row; of rows that are equal in everything, any one.
-- Parameters: table, columns (identifiers), id, identity, status, last_modify_time (NULL when it had none).
-- Repeatable: only a row at -80 changes; the caller asserts that exactly one did.
UPDATE `{{ table }}`
SET status = %(status)s, last_modify_time = %(last_modify_time)s
WHERE id = %(id)s AND status = -80
  AND SHA2(CONCAT_WS(',', {% for column in columns %}QUOTE(`{{ column }}`){{ "" if loop.last else ", " }}{% endfor %}), 256) = %(identity)s
LIMIT 1
