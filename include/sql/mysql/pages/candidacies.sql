-- Purpose: the batches in which a point is, or was, a candidate, with what people decided. The primary key is asked once
--          for each batch: there is no index on the point alone.
-- Grain: one row a batch.
-- Parameters: point_id.
SELECT b.batch_id, b.state, b.created_at, b.window_start, b.window_end, b.confirmed_by, b.observe_from, b.observe_until,
       b.halted_at, c.class, c.cluster, c.owner, c.decision, c.reviewer, c.remark, c.decided_at
FROM points_lifecycle.batch AS b
JOIN points_lifecycle.candidate AS c ON c.batch_id = b.batch_id AND c.point_id = %(point_id)s
ORDER BY b.created_at, b.batch_id
