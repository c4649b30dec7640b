-- Purpose: the tickets that some points of a batch are on, but for those that are done.
-- Grain: one row a ticket.
-- Parameters: batch_id, points.
SELECT DISTINCT t.ticket_id, t.state
FROM points_lifecycle.cleanup_point p
JOIN points_lifecycle.cleanup_ticket t ON t.ticket_id = p.ticket_id
WHERE p.batch_id = %(batch_id)s AND p.point_id IN %(points)s AND t.state NOT IN ('done', 'withdrawn')
ORDER BY t.ticket_id
