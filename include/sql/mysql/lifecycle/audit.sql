-- Purpose: the events of a batch in order.
-- Grain: one row an event.
-- Parameters: batch_id.
-- Why it can be re-run: reads only.
SELECT environment, event, actor, detail, happened_at
FROM points_lifecycle.audit
WHERE batch_id = %(batch_id)s
ORDER BY audit_id
