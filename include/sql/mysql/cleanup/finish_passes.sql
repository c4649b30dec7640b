-- Purpose: note how many passes of a ticket are complete.
-- Grain: one row a ticket.
-- Parameters: ticket_id, passes.
-- Repeatable: the same number gives the same row.
UPDATE points_lifecycle.cleanup_ticket
SET passes = %(passes)s
WHERE ticket_id = %(ticket_id)s
