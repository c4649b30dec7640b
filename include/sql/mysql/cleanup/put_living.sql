-- Purpose: keep the structure of a served point.
-- Grain: one row a point.
-- Parameters: every column by name.
-- Repeatable: the newest description replaces the one before.
INSERT INTO points_lifecycle.cleanup_living (
  point_id, cluster, data_type, key_template, field_template, asked_at
) VALUES (
  %(point_id)s, %(cluster)s, %(data_type)s, %(key_template)s, %(field_template)s, %(asked_at)s
)
ON DUPLICATE KEY UPDATE
  cluster = VALUES(cluster), data_type = VALUES(data_type), key_template = VALUES(key_template),
  field_template = VALUES(field_template), asked_at = VALUES(asked_at)
