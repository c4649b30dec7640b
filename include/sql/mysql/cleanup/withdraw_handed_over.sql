-- Purpose: withdraw what the DBA has in hand of a batch that is halted; it comes back when the batch is released and due.
-- Grain: one row a ticket.
-- Parameters: batch_id.
-- Repeatable: a withdrawn ticket stays withdrawn.
UPDATE points_lifecycle.cleanup_ticket
SET state = 'withdrawn'
WHERE batch_id = %(batch_id)s AND state = 'handed_over'
