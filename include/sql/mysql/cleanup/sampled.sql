-- Purpose: how many samples are kept of each point.
-- Grain: one row a point.
-- Parameters: ticket_id, instance.
SELECT point_id, COUNT(*)
FROM points_lifecycle.cleanup_sample
WHERE ticket_id = %(ticket_id)s AND instance = %(instance)s
GROUP BY point_id
