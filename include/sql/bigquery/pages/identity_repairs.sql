-- Purpose: repairs of identities: what was planned, who approved it, what was applied.
-- Grain: one row an act, newest first.
-- Parameters: @since (TIMESTAMP): older acts are not read.
SELECT
  acted_at,
  subject,
  action,
  actor,
  digest,
  detail,
  run_id
FROM `{{ project }}.{{ monitor_dataset }}.operation_audit`
WHERE acted_at >= @since AND operation = 'oidc_repair'
ORDER BY acted_at DESC;
