-- Purpose: what the audit of operations says about one run of the identity repair.
-- Grain: one row an act.
-- Parameters: @run_id; @since (TIMESTAMP) older acts are not read.
SELECT
  action,
  actor,
  detail
FROM `{{ project }}.{{ monitor_dataset }}.operation_audit`
WHERE acted_at >= @since AND run_id = @run_id AND operation = 'oidc_repair'
ORDER BY acted_at;
