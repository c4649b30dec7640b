-- Purpose: what tasks and deadlines reported last.
-- Grain: one row an alert key, its newest signal.
-- Parameters: @since (TIMESTAMP): older signals are not read.
SELECT
  alert_key,
  signalled_at,
  state,
  priority,
  detail,
  run_id
FROM `{{ project }}.{{ monitor_dataset }}.alert_signal`
WHERE signalled_at >= @since
QUALIFY ROW_NUMBER() OVER (PARTITION BY alert_key ORDER BY signalled_at DESC) = 1;
