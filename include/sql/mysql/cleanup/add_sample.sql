-- Purpose: keep a key or field with its value before it is deleted.
-- Grain: one row a sample.
-- Parameters: every column but sample_id by name.
-- Repeatable: a repeated batch may keep a sample twice; nothing counts them but the limit per point.
INSERT INTO points_lifecycle.cleanup_sample (
  ticket_id, instance, point_id, redis_key, field, data_type, ttl_ms, bytes, value, taken_at, keep_until
) VALUES (
  %(ticket_id)s, %(instance)s, %(point_id)s, %(redis_key)s, %(field)s, %(data_type)s, %(ttl_ms)s, %(bytes)s, %(value)s,
  %(taken_at)s, %(keep_until)s
)
