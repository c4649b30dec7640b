-- Purpose: take the live rows of given ids out of service.
-- Grain: every row of an id with status above 0.
-- Parameters: table (identifier), ids.
-- Repeatable: rows at -80 are no longer above 0. last_modify_time is set to itself, or ON UPDATE would move it.
UPDATE `{{ table }}`
SET status = -80, last_modify_time = last_modify_time
WHERE id IN %(ids)s AND status > 0
