-- Purpose: the storage structures of a batch.
-- Grain: one row a point.
-- Parameters: batch_id.
SELECT point_id, cluster, data_type, key_template, field_template
FROM points_lifecycle.structure
WHERE batch_id = %(batch_id)s
ORDER BY cluster, point_id
