-- Purpose: note how the execution of a ticket ended.
-- Grain: one row a ticket.
-- Parameters: ticket_id, state (done, incomplete), now.
-- Repeatable: the same end gives the same row.
UPDATE points_lifecycle.cleanup_ticket
SET state = %(state)s, finished_at = %(now)s
WHERE ticket_id = %(ticket_id)s AND state = 'running'
