-- Purpose: how many rows of each batch are planned, changed or restored. The primary key begins with the batch, and a
--          plan has no more rows than the cap allows, so that batches under way are counted quickly.
-- Grain: one row a batch, environment and state.
-- Parameters: batches.
SELECT batch_id, environment, state, COUNT(*) AS row_count
FROM points_lifecycle.batch_row
WHERE batch_id IN %(batches)s
GROUP BY batch_id, environment, state
