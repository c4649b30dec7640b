-- Purpose: evidence of what ran. Logs expire after 400 days (draws never do).
-- Grain: sync_log: one row a (dag, task, interval), its last attempt; collect_log: one row a poll of the feed.
-- Partitioned by the time of the attempt, not by the interval: a backfill of an interval older than the expiration
-- would lose its evidence at once.
CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.sync_log` (
  dag_id STRING NOT NULL,
  task_id STRING NOT NULL,
  interval_start TIMESTAMP NOT NULL OPTIONS (description = 'Data interval, or the range asked for (inclusive).'),
  interval_end TIMESTAMP NOT NULL OPTIONS (description = 'End of the interval (exclusive).'),
  mode STRING NOT NULL OPTIONS (description = 'interval: a data interval, counts for the watermark; range: what a person asked for.'),
  run_id STRING NOT NULL,
  try_number INT64 NOT NULL,
  job_id STRING OPTIONS (description = 'BigQuery job of the MERGE; NULL when the run failed before it.'),
  window_start TIMESTAMP NOT NULL OPTIONS (description = 'Start of what was synced: interval, lookback and watermark (inclusive).'),
  window_end TIMESTAMP NOT NULL OPTIONS (description = 'End of what was synced (exclusive).'),
  inserted INT64 OPTIONS (description = 'Rows inserted; NULL where the engine reports the total only.'),
  updated INT64 OPTIONS (description = 'Rows updated; NULL where the engine reports the total only.'),
  affected INT64 OPTIONS (description = 'Rows inserted or updated.'),
  bytes_billed INT64,
  slot_ms INT64,
  seconds FLOAT64 NOT NULL OPTIONS (description = 'From the start of the attempt to its end.'),
  status STRING NOT NULL OPTIONS (description = 'success or failed.'),
  error STRING OPTIONS (description = 'Type and message of what failed the attempt.'),
  started_at TIMESTAMP NOT NULL,
  finished_at TIMESTAMP NOT NULL
)
PARTITION BY DATE(finished_at)
CLUSTER BY interval_start, dag_id
OPTIONS (
  partition_expiration_days = 400,
  description = 'One row a (dag, task, interval): the last attempt to sync it.',
  labels = [('pipeline', 'draws')]
);

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.collect_log` (
  dag_id STRING NOT NULL,
  task_id STRING NOT NULL,
  run_id STRING NOT NULL,
  try_number INT64 NOT NULL,
  poll_number INT64 NOT NULL OPTIONS (description = 'Poll within the run, from 1.'),
  polled_at TIMESTAMP NOT NULL,
  http_status INT64 OPTIONS (description = 'NULL when the feed did not answer.'),
  received INT64 OPTIONS (description = 'Rows in the answer.'),
  inserted INT64 OPTIONS (description = 'New versions written to the source draws.'),
  quarantined INT64 OPTIONS (description = 'Rows newly quarantined.'),
  seconds FLOAT64 NOT NULL,
  status STRING NOT NULL OPTIONS (description = 'success or failed.'),
  error STRING OPTIONS (description = 'Type and message of what failed the poll.')
)
PARTITION BY DATE(polled_at)
CLUSTER BY run_id
OPTIONS (
  partition_expiration_days = 400,
  description = 'One row a poll of the feed.',
  labels = [('pipeline', 'draws')]
);
