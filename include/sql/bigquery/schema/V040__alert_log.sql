-- Purpose: the life of every alert as append-only events; current states are the view alert_state_v.
-- Grain: one row an event of an alert (event_id is unique).
CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.alert_log` (
  event_id STRING NOT NULL OPTIONS (description = 'Derived from alert, kind and time: the idempotency key.'),
  alert_id STRING NOT NULL OPTIONS (description = 'One firing of a condition; a later firing is another alert.'),
  alert_key STRING NOT NULL OPTIONS (description = 'The condition, e.g. check:draws_synced_in_time; also the key of a mute.'),
  kind STRING NOT NULL OPTIONS (description = 'fired, notified, delivery_failed, acknowledged, muted, unmuted, recovering, relapsed, resolved or recovery_notified.'),
  priority STRING NOT NULL OPTIONS (description = 'P0, P1 or P2.'),
  event_at TIMESTAMP NOT NULL,
  actor STRING NOT NULL OPTIONS (description = 'User who did it, or monitor.'),
  detail STRING OPTIONS (description = 'Message, reason, or what a delivery said.'),
  until TIMESTAMP OPTIONS (description = 'End of a mute.'),
  explained_by STRING OPTIONS (description = 'Key patterns (comma separated) of alerts that would be the cause of this one.'),
  run_id STRING NOT NULL
)
PARTITION BY DATE(event_at)
CLUSTER BY alert_key
OPTIONS (
  partition_expiration_days = 400,
  description = 'Append-only events of alerts.',
  labels = [('pipeline', 'monitoring')]
);
