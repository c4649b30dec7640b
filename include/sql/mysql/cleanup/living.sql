-- Purpose: the structures of served points that NOS described recently enough.
-- Grain: one row a point.
-- Parameters: since.
-- Why it can be re-run: reads only.
SELECT point_id, cluster, data_type, key_template, field_template
FROM points_lifecycle.cleanup_living
WHERE asked_at > %(since)s
