-- Purpose: take points of a released batch that were in use off their tickets that are done: what they wrote since is
--          there, and the next tickets have them again. What was deleted of them stays counted.
-- Grain: one row a point.
-- Parameters: batch_id, points, reason.
-- Repeatable: a point without a ticket stays without one.
UPDATE points_lifecycle.cleanup_point AS p
INNER JOIN points_lifecycle.cleanup_ticket AS t ON t.ticket_id = p.ticket_id
SET p.ticket_id = NULL, p.reason = %(reason)s
WHERE p.batch_id = %(batch_id)s AND p.point_id IN %(points)s AND t.state = 'done'
