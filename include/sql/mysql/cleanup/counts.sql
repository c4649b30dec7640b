-- Purpose: the counts of one scan.
-- Grain: one row a point.
-- Parameters: ticket_id, phase, pass_number, instance, identity.
SELECT point_id, found, deleted, wrong_type
FROM points_lifecycle.cleanup_count
WHERE ticket_id = %(ticket_id)s AND phase = %(phase)s AND pass_number = %(pass_number)s
  AND instance = %(instance)s AND identity = %(identity)s
