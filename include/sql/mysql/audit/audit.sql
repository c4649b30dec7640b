-- Purpose: the events of a batch in order.
-- Grain: one row an event.
-- Parameters: batch_id.
SELECT environment, event, actor, detail, happened_at
FROM governance_audit.audit
WHERE batch_id = %(batch_id)s
ORDER BY audit_id
