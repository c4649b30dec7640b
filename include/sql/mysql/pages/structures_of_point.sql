-- Purpose: the storage structure of a point, as NOS described it to each batch.
-- Grain: one row a batch.
-- Parameters: batches, point_id.
SELECT batch_id, cluster, data_type, key_template, field_template, asked_at
FROM points_lifecycle.structure
WHERE batch_id IN %(batches)s AND point_id = %(point_id)s
ORDER BY asked_at
