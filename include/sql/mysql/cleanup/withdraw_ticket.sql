-- Purpose: withdraw a ticket, a point of which comes back into service.
-- Grain: one row a ticket; one that is done stays as it was executed.
-- Parameters: ticket_id.
-- Repeatable: a withdrawn ticket stays withdrawn.
UPDATE points_lifecycle.cleanup_ticket
SET state = 'withdrawn'
WHERE ticket_id = %(ticket_id)s AND state <> 'done'
