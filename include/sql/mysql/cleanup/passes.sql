-- Purpose: how many passes of a ticket are complete.
-- Grain: one row a ticket.
-- Parameters: ticket_id.
SELECT passes
FROM points_lifecycle.cleanup_ticket
WHERE ticket_id = %(ticket_id)s
