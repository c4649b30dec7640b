-- Purpose: how far the cleanup of a batch has come: keys and fields deleted of those estimated.
-- Grain: one row a ticket.
-- Parameters: batch_id.
SELECT t.ticket_id, t.cluster, t.class, t.executor, t.state, t.points, t.estimated_keys, t.passes, t.started_at,
       t.finished_at,
       (
         SELECT SUM(c.deleted)
         FROM points_lifecycle.cleanup_count AS c
         WHERE c.ticket_id = t.ticket_id AND c.phase = 'delete'
       ) AS deleted,
       (SELECT MAX(s.updated_at) FROM points_lifecycle.cleanup_scan AS s WHERE s.ticket_id = t.ticket_id) AS updated_at
FROM points_lifecycle.cleanup_ticket AS t
WHERE t.batch_id = %(batch_id)s
ORDER BY t.cluster, t.class, t.ticket_id
