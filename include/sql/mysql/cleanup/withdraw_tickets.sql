-- Purpose: withdraw the tickets of a batch that nobody began before they are made again; those that still follow come
--          back.
-- Grain: one row a ticket.
-- Parameters: batch_id.
-- Repeatable: a withdrawn ticket stays withdrawn.
UPDATE points_lifecycle.cleanup_ticket
SET state = 'withdrawn'
WHERE batch_id = %(batch_id)s AND state IN ('open', 'handed_over')
