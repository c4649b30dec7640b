-- Purpose: the memory of each instance before and after the tickets of a batch.
-- Grain: one row an instance of a ticket.
-- Parameters: batch_id.
SELECT m.ticket_id, m.instance, m.bytes_before, m.bytes_after
FROM points_lifecycle.cleanup_memory m
JOIN points_lifecycle.cleanup_ticket t ON t.ticket_id = m.ticket_id
WHERE t.batch_id = %(batch_id)s
ORDER BY m.ticket_id, m.instance
