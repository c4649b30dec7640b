-- Purpose: note how the execution of a ticket ended.
-- Grain: one row a ticket.
-- Parameters: ticket_id, digest, state (done, incomplete), now. Done is only what was swept: the ticket of this digest.
-- Repeatable: the same end gives the same row.
UPDATE points_lifecycle.cleanup_ticket
SET state = %(state)s, finished_at = %(now)s
WHERE ticket_id = %(ticket_id)s AND state = 'running' AND (digest = %(digest)s OR %(state)s = 'incomplete')
