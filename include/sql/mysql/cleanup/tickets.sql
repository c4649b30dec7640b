-- Purpose: the tickets of a batch as they stand.
-- Grain: one row a ticket.
-- Parameters: batch_id.
SELECT ticket_id, batch_id, cluster, class, executor, digest, points, instances, estimated_keys, estimated_bytes, state,
  approved_by, started_at, finished_at
FROM points_lifecycle.cleanup_ticket
WHERE batch_id = %(batch_id)s
ORDER BY ticket_id
