-- Purpose: note that an approved ticket is being executed, and by whose approval.
-- Grain: one row a ticket.
-- Parameters: ticket_id, digest, approved_by, now.
-- Repeatable: the first start stays; a ticket of another digest, or that is done, does not change.
UPDATE points_lifecycle.cleanup_ticket
SET state = 'running', approved_by = %(approved_by)s, started_at = COALESCE(started_at, %(now)s)
WHERE ticket_id = %(ticket_id)s AND digest = %(digest)s AND executor = 'own'
  AND state IN ('open', 'running', 'incomplete')
