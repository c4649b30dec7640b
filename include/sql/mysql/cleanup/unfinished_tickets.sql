-- Purpose: whether a batch may be closed: it has tickets, and none that the pipeline still has to execute.
-- Grain: one row.
-- Parameters: batch_id.
SELECT COUNT(*), COUNT(CASE WHEN state NOT IN ('done', 'handed_over', 'withdrawn') THEN 1 END)
FROM points_lifecycle.cleanup_ticket
WHERE batch_id = %(batch_id)s
