-- Purpose: how many keys or fields a ticket has deleted, of points that it is no longer for, too.
-- Grain: one row.
-- Parameters: ticket_id.
SELECT COALESCE(SUM(deleted), 0)
FROM points_lifecycle.cleanup_count
WHERE ticket_id = %(ticket_id)s AND phase = 'delete'
