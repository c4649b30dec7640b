-- Purpose: what became of each point of a batch. "found" and "deleted" are those of all its tickets, also of one that the
--          point has left since; "left" and "wrong_type" are those of the last confirming pass of the one it is on.
--          "unconfirmed" are those that a sweep was about to delete when it was killed; its next one counts them.
-- Grain: one row a point of the batch.
-- Parameters: batch_id.
WITH deleting AS (
  SELECT c.point_id, SUM(c.found) AS found, SUM(c.deleted) AS deleted
  FROM points_lifecycle.cleanup_ticket t
  JOIN points_lifecycle.cleanup_count c ON c.ticket_id = t.ticket_id AND c.phase = 'delete'
  WHERE t.batch_id = %(batch_id)s
  GROUP BY c.point_id
),
confirming AS (
  SELECT c.ticket_id, c.point_id, SUM(c.found) AS remaining, SUM(c.wrong_type) AS wrong_type
  FROM points_lifecycle.cleanup_count c
  JOIN points_lifecycle.cleanup_ticket t ON t.ticket_id = c.ticket_id AND t.passes = c.pass_number
  JOIN points_lifecycle.cleanup_scan s
    ON s.ticket_id = c.ticket_id AND s.phase = c.phase AND s.pass_number = c.pass_number
    AND s.instance = c.instance AND s.identity = c.identity AND s.done
  WHERE c.phase = 'confirm'
  GROUP BY c.ticket_id, c.point_id
),
intended AS (
  SELECT i.point_id, COUNT(*) AS items
  FROM points_lifecycle.cleanup_ticket t
  JOIN points_lifecycle.cleanup_scan s ON s.ticket_id = t.ticket_id AND s.intent IS NOT NULL
  JOIN JSON_TABLE(s.intent, '$[*]' COLUMNS (point_id BIGINT PATH '$[0]')) AS i
  WHERE t.batch_id = %(batch_id)s
  GROUP BY i.point_id
)
SELECT p.point_id, p.cluster, p.ticket_id, p.reason, p.estimated_keys, p.estimated_bytes,
  COALESCE(d.found, 0) AS found, COALESCE(d.deleted, 0) AS deleted, COALESCE(c.remaining, 0) AS remaining,
  COALESCE(c.wrong_type, 0) AS wrong_type, COALESCE(i.items, 0) AS unconfirmed
FROM points_lifecycle.cleanup_point p
LEFT JOIN deleting d ON d.point_id = p.point_id
LEFT JOIN intended i ON i.point_id = p.point_id
LEFT JOIN confirming c ON c.ticket_id = p.ticket_id AND c.point_id = p.point_id
WHERE p.batch_id = %(batch_id)s
ORDER BY p.cluster, p.point_id
