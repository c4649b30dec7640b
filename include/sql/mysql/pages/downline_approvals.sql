-- Purpose: approvals of downlines, and whether they were used.
-- Grain: one row an event, oldest first.
-- Parameters: since (UTC).
SELECT subject, kind, expires_at
FROM governance_audit.approval
WHERE action = 'downline' AND role = 'execute' AND kind IN ('approved', 'started', 'finished')
  AND recorded_at >= %(since)s
ORDER BY approval_id
