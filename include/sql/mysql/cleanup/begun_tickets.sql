-- Purpose: the tickets of a batch whose sweep has begun and not ended well.
-- Grain: one row a ticket.
-- Parameters: batch_id.
SELECT ticket_id
FROM points_lifecycle.cleanup_ticket
WHERE batch_id = %(batch_id)s AND state IN ('running', 'incomplete')
ORDER BY ticket_id
