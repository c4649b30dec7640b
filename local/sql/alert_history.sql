-- Purpose: the lives of the alerts of one condition.
-- Grain: one row an alert.
-- Parameters: @key_prefix, @since (TIMESTAMP): alerts that fired before are left out.
SELECT
  alert_key,
  status,
  fired_at,
  notified_at,
  acknowledged_by,
  resolved_at,
  delivery_failures
FROM `{{ project }}.{{ monitor_dataset }}.alert_state_v`
WHERE fired_at >= @since AND STARTS_WITH(alert_key, @key_prefix)
ORDER BY fired_at;
