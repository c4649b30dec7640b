-- Purpose: forget where the points of a batch were put, in the transaction that puts them again.
-- Grain: one row a point of the batch; points of tickets that are done keep theirs.
-- Parameters: batch_id.
-- Repeatable: deleting twice deletes the same rows.
DELETE p
FROM points_lifecycle.cleanup_point p
LEFT JOIN points_lifecycle.cleanup_ticket t ON t.ticket_id = p.ticket_id
WHERE p.batch_id = %(batch_id)s AND COALESCE(t.state, '') <> 'done'
