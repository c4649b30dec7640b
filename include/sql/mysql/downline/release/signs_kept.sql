-- Purpose: the signs of life that observation kept of a batch's points, for those who decide about its release.
-- Grain: one row a point and metric.
-- Parameters: batch_id.
SELECT kind, oper_type, point_id, last_seen, seen_count, observed_at
FROM points_lifecycle.observation
WHERE batch_id = %(batch_id)s
ORDER BY last_seen DESC, point_id, kind, oper_type
