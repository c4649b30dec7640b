-- Purpose: the state of each alert: the fold of alert_log, for people and dashboards. The monitor folds the same events
--   in drawsguard/alerts/state.py; a test keeps the two equal.
-- Grain: one row per alert.
CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.alert_state_v`
OPTIONS (description = 'Current state of every alert.') AS
SELECT
  a.alert_id,
  a.alert_key,
  a.priority,
  CASE
    WHEN a.resolved_at IS NOT NULL THEN 'resolved'
    WHEN a.acknowledged_at IS NOT NULL THEN 'acknowledged'
    ELSE 'fired'
  END AS status,
  a.fired_at,
  a.notified_at,
  a.acknowledged_at,
  a.acknowledged_by,
  a.resolved_at,
  a.resolved_by,
  a.delivery_failures,
  m.muted_until,
  a.detail
FROM (
  SELECT
    alert_id,
    ANY_VALUE(alert_key) AS alert_key,
    MIN(priority) AS priority,
    MIN(IF(kind = 'fired', event_at, NULL)) AS fired_at,
    MAX(IF(kind = 'notified', event_at, NULL)) AS notified_at,
    MIN(IF(kind = 'acknowledged', event_at, NULL)) AS acknowledged_at,
    MAX(IF(kind = 'acknowledged', actor, NULL)) AS acknowledged_by,
    MIN(IF(kind = 'resolved', event_at, NULL)) AS resolved_at,
    MAX(IF(kind = 'resolved' AND actor != 'monitor', actor, NULL)) AS resolved_by,
    COUNTIF(kind = 'delivery_failed') AS delivery_failures,
    MAX(IF(kind = 'fired', detail, NULL)) AS detail
  FROM `{{ project }}.{{ monitor_dataset }}.alert_log`
  GROUP BY alert_id
) AS a
LEFT JOIN (
  SELECT
    alert_key,
    IF(kind = 'muted', until, NULL) AS muted_until
  FROM `{{ project }}.{{ monitor_dataset }}.alert_log`
  WHERE kind IN ('muted', 'unmuted')
  QUALIFY ROW_NUMBER() OVER (PARTITION BY alert_key ORDER BY event_at DESC) = 1
) AS m
  ON a.alert_key = m.alert_key
WHERE a.fired_at IS NOT NULL;
