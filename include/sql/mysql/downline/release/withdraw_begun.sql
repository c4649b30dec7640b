-- Purpose: withdraw the pipeline's tickets of a released batch whose sweep had begun: its points were in use, and what
--          they wrote is behind its scans. A ticket that comes back is swept from the first scan on, and a sweep that is
--          under way ends when it finds its ticket withdrawn.
-- Grain: one row a ticket.
-- Parameters: batch_id.
-- Repeatable: a withdrawn ticket stays withdrawn.
UPDATE points_lifecycle.cleanup_ticket
SET state = 'withdrawn'
WHERE batch_id = %(batch_id)s AND executor = 'own' AND state IN ('running', 'incomplete')
