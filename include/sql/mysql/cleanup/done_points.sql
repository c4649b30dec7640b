-- Purpose: the points of a batch whose tickets are done.
-- Grain: one row a point.
-- Parameters: batch_id.
SELECT p.point_id
FROM points_lifecycle.cleanup_point p
JOIN points_lifecycle.cleanup_ticket t ON t.ticket_id = p.ticket_id
WHERE p.batch_id = %(batch_id)s AND t.state = 'done'
