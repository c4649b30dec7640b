-- Purpose: keep a sign of life of a downlined point.
-- Grain: one row a point and metric.
-- Parameters: every column by name.
-- Repeatable: the same finding updates its own row.
INSERT INTO points_lifecycle.observation (
  batch_id, kind, oper_type, point_id, last_seen, seen_count, observed_at
) VALUES (%(batch_id)s, %(kind)s, %(oper_type)s, %(point_id)s, %(last_seen)s, %(seen_count)s, %(observed_at)s)
ON DUPLICATE KEY UPDATE last_seen = VALUES(last_seen), seen_count = VALUES(seen_count), observed_at = VALUES(observed_at)
