-- Purpose: every result of every check, as evidence and as the source of alerts, audits and SLOs.
-- Grain: check_log: one row a (run, check, subject); identity_check_log: one row a (run, service, check);
--   alert_signal: one row an event that a task or a deadline reported; operation_audit: one row a person's act.
CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.check_log` (
  run_id STRING NOT NULL,
  check_name STRING NOT NULL,
  subject STRING NOT NULL OPTIONS (description = 'What was checked: a table, a job, a service, a window.'),
  checked_at TIMESTAMP NOT NULL,
  priority STRING NOT NULL,
  status STRING NOT NULL OPTIONS (description = 'pass, fail, or error when the check itself could not be made.'),
  expected STRING NOT NULL,
  actual STRING NOT NULL,
  seconds FLOAT64 NOT NULL OPTIONS (description = 'Duration of the check.')
)
PARTITION BY DATE(checked_at)
CLUSTER BY check_name
OPTIONS (
  partition_expiration_days = 400,
  description = 'One row a checked subject and run.',
  labels = [('pipeline', 'monitoring')]
);

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.identity_check_log` (
  run_id STRING NOT NULL,
  service STRING NOT NULL,
  check_number INT64 NOT NULL,
  check_name STRING NOT NULL,
  checked_at TIMESTAMP NOT NULL,
  status STRING NOT NULL OPTIONS (description = 'pass, warn or fail.'),
  findings STRING NOT NULL OPTIONS (description = 'JSON array: code, severity, expected, actual, mended_by.')
)
PARTITION BY DATE(checked_at)
CLUSTER BY service
OPTIONS (
  partition_expiration_days = 400,
  description = 'Results of the seven identity checks.',
  labels = [('pipeline', 'monitoring')]
);

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.alert_signal` (
  signal_id STRING NOT NULL,
  alert_key STRING NOT NULL OPTIONS (description = 'task:<dag>.<task> or sla:<dag>.'),
  signalled_at TIMESTAMP NOT NULL,
  state STRING NOT NULL OPTIONS (description = 'firing or ok.'),
  priority STRING NOT NULL,
  detail STRING NOT NULL,
  run_id STRING NOT NULL
)
PARTITION BY DATE(signalled_at)
CLUSTER BY alert_key
OPTIONS (
  partition_expiration_days = 400,
  description = 'Failures of tasks and missed deadlines, reported where they happen; the monitor makes alerts of them.',
  labels = [('pipeline', 'monitoring')]
);

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.operation_audit` (
  entry_id STRING NOT NULL,
  acted_at TIMESTAMP NOT NULL,
  operation STRING NOT NULL OPTIONS (description = 'oidc_repair, alert_acknowledge or alert_mute.'),
  subject STRING NOT NULL,
  action STRING NOT NULL OPTIONS (description = 'planned, approved, rejected, applied, verified, acknowledged, muted or unmuted.'),
  actor STRING NOT NULL,
  digest STRING OPTIONS (description = 'SHA-256 of the plan that was approved.'),
  detail STRING,
  run_id STRING NOT NULL
)
PARTITION BY DATE(acted_at)
OPTIONS (
  description = 'Who asked for, approved and did what. Never expires.',
  labels = [('pipeline', 'monitoring')]
);
