-- Purpose: how many alerts are open, by priority.
-- Grain: one row a priority with open alerts.
SELECT
  priority,
  COUNT(*) AS alerts
FROM `{{ project }}.{{ monitor_dataset }}.alert_state_v`
WHERE status IN ('fired', 'acknowledged')
GROUP BY priority
ORDER BY priority;
