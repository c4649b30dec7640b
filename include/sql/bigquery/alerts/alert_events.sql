-- Purpose: the events that the state of all alerts is folded from.
-- Grain: one row an event.
-- Parameters: @since (TIMESTAMP): older events are not read; the log keeps 400 days.
SELECT
  alert_id,
  alert_key,
  kind,
  priority,
  event_at,
  actor,
  detail,
  until,
  explained_by
FROM `{{ project }}.{{ monitor_dataset }}.alert_log`
WHERE event_at >= @since;
