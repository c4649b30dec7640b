-- Purpose: how many tickets of a batch wait for the pipeline or the DBA; with any of them it is not closed.
-- Grain: one row.
-- Parameters: batch_id.
SELECT COUNT(*)
FROM points_lifecycle.cleanup_ticket
WHERE batch_id = %(batch_id)s AND state NOT IN ('done', 'withdrawn')
