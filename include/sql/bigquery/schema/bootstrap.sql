-- Purpose: the monitoring dataset, where the migrations keep their own record; run before any of them.
-- Grain: one row a migration, its last application.
CREATE SCHEMA IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}`
OPTIONS (location = '{{ location }}', description = 'Logs of every job, monitoring views and alerts.');

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.schema_migrations` (
  version STRING NOT NULL OPTIONS (description = 'V and a number, or R__ and a name for what is replaced on change.'),
  name STRING NOT NULL OPTIONS (description = 'File name below include/sql/bigquery/schema.'),
  checksum STRING NOT NULL OPTIONS (description = 'SHA-256 of the file, in hexadecimal.'),
  applied_at TIMESTAMP NOT NULL,
  run_id STRING NOT NULL OPTIONS (description = 'Airflow run that applied it.')
)
OPTIONS (description = 'Migrations applied to this warehouse.');
