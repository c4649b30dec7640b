-- Purpose: note that the DBA has done a ticket.
-- Grain: one row a ticket.
-- Parameters: ticket_id, now.
-- Repeatable: only a ticket that is handed over changes; one that is done stays as it was.
UPDATE points_lifecycle.cleanup_ticket
SET state = 'done', finished_at = %(now)s
WHERE ticket_id = %(ticket_id)s AND executor = 'dba' AND state = 'handed_over'
