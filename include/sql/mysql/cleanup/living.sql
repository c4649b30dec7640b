-- Purpose: the structures of served points that NOS described recently enough.
-- Grain: one row a point.
-- Parameters: since.
SELECT point_id, cluster, data_type, key_template, field_template
FROM points_lifecycle.cleanup_living
WHERE asked_at > %(since)s
