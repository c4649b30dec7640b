-- Purpose: what the cleanup of each batch did about a point: its ticket, or why it has none, and the keys or fields freed
--          by all tickets that it was on; "unconfirmed" are those that a killed sweep was about to delete.
-- Grain: one row a batch.
-- Parameters: batches, point_id.
SELECT p.batch_id, p.cluster, p.ticket_id, p.reason, t.executor, t.state, t.approved_by, t.started_at, t.finished_at,
       (
         SELECT COUNT(*)
         FROM points_lifecycle.cleanup_ticket AS o
         JOIN points_lifecycle.cleanup_scan AS s ON s.ticket_id = o.ticket_id AND s.intent IS NOT NULL
         JOIN JSON_TABLE(s.intent, '$[*]' COLUMNS (point_id BIGINT PATH '$[0]')) AS i
         WHERE o.batch_id = p.batch_id AND i.point_id = p.point_id
       ) AS unconfirmed,
       (
         SELECT SUM(c.deleted)
         FROM points_lifecycle.cleanup_ticket AS o
         JOIN points_lifecycle.cleanup_count AS c ON c.ticket_id = o.ticket_id
         WHERE o.batch_id = p.batch_id AND c.phase = 'delete' AND c.point_id = p.point_id
       ) AS freed
FROM points_lifecycle.cleanup_point AS p
LEFT JOIN points_lifecycle.cleanup_ticket AS t ON t.ticket_id = p.ticket_id
WHERE p.batch_id IN %(batches)s AND p.point_id = %(point_id)s
ORDER BY p.batch_id
