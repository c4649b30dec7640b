-- Purpose: the rows of a batch in one state, e.g. downlined.
-- Grain: one row a row.
-- Parameters: batch_id, state.
SELECT environment, kind, table_name, row_id, cluster, old_status
FROM points_lifecycle.batch_row
WHERE batch_id = %(batch_id)s AND state = %(state)s
