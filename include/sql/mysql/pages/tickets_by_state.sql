-- Purpose: how far the cleanup of batches has come.
-- Grain: one row a batch, executor and state of a ticket.
-- Parameters: batches.
SELECT batch_id, executor, state, COUNT(*) AS tickets, SUM(points) AS points
FROM points_lifecycle.cleanup_ticket
WHERE batch_id IN %(batches)s
GROUP BY batch_id, executor, state
