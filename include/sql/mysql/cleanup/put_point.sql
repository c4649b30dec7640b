-- Purpose: keep the ticket of a point, or the reason why it has none.
-- Grain: one row a point of a batch.
-- Parameters: every column by name.
-- Repeatable: a point that is there (its ticket is done) stays as it is.
INSERT IGNORE INTO points_lifecycle.cleanup_point (
  batch_id, point_id, cluster, ticket_id, reason, estimated_keys, estimated_bytes
) VALUES (
  %(batch_id)s, %(point_id)s, %(cluster)s, %(ticket_id)s, %(reason)s, %(estimated_keys)s, %(estimated_bytes)s
)
