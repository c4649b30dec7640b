-- Purpose: the progress of a scan.
-- Grain: one row a scan, or none.
-- Parameters: ticket_id, phase, pass_number, instance, identity.
SELECT cursor_position, done
FROM points_lifecycle.cleanup_scan
WHERE ticket_id = %(ticket_id)s AND phase = %(phase)s AND pass_number = %(pass_number)s
  AND instance = %(instance)s AND identity = %(identity)s
