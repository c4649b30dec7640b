-- Purpose: which draws were found missing, when, and what became of each; the reports of incidents.
-- Grain: repair_log: one row a (period, detection); incident_reports: one row an incident.
-- Repeatable: every statement says IF NOT EXISTS. Rows expire after 400 days; draws never do.

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.repair_log` (
  period INT64 NOT NULL,
  cause STRING NOT NULL OPTIONS (description = 'not_synced: in the source only; not_collected: in neither table.'),
  gap_start TIMESTAMP NOT NULL OPTIONS (description = 'Time of the draw before the hole, or of the draw itself.'),
  gap_end TIMESTAMP NOT NULL OPTIONS (description = 'Time of the draw after the hole, or of the draw itself.'),
  detected_at TIMESTAMP NOT NULL OPTIONS (description = 'When a check first found it missing.'),
  asked_at TIMESTAMP OPTIONS (description = 'When the history of the feed was last asked for it.'),
  repaired_at TIMESTAMP OPTIONS (description = 'When it was verified to be in the target.'),
  repair_seconds FLOAT64 OPTIONS (description = 'repaired_at minus detected_at: its mean is the MTTR.'),
  status STRING NOT NULL OPTIONS (description = 'repaired; nobody_has: neither source nor feed has it; open: not asked for.'),
  incident_id STRING NOT NULL OPTIONS (description = 'The run that saw it last.')
)
PARTITION BY DATE(detected_at)
CLUSTER BY period
OPTIONS (
  partition_expiration_days = 400,
  description = 'Draws found missing and what became of them.',
  labels = [('pipeline', 'draws')]
);

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.incident_reports` (
  incident_id STRING NOT NULL OPTIONS (description = 'dag|run of the repair.'),
  created_at TIMESTAMP NOT NULL,
  repaired INT64 NOT NULL,
  nobody_has INT64 NOT NULL,
  report STRING NOT NULL OPTIONS (description = 'Markdown with five chapters.')
)
PARTITION BY DATE(created_at)
OPTIONS (
  partition_expiration_days = 400,
  description = 'Reports of repaired incidents.',
  labels = [('pipeline', 'draws')]
);
