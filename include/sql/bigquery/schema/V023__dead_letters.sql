-- Purpose: what became of each failed sync interval: waiting for its replay, replayed, or set aside for a person.
--   The letters travel through Pub/Sub; attempts and outcomes are kept here, where they can be counted and shown.
-- Grain: one row a dlq_id, which stands for (dag, task, interval start).
-- Repeatable: IF NOT EXISTS. Rows expire 400 days after the first failure.

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.dead_letters` (
  dlq_id STRING NOT NULL OPTIONS (description = 'SHA-256 of dag|task|interval start, in hexadecimal.'),
  dag_id STRING OPTIONS (description = 'NULL for a letter that could not be read.'),
  task_id STRING,
  run_id STRING,
  try_number INT64,
  job_id STRING OPTIONS (description = 'BigQuery job that failed, where it came so far.'),
  interval_start TIMESTAMP,
  interval_end TIMESTAMP,
  mode STRING OPTIONS (description = 'interval or range, as in sync_log.'),
  reason STRING NOT NULL OPTIONS (description = 'Type of the error.'),
  message STRING NOT NULL OPTIONS (description = 'Message of the last error.'),
  retriable BOOL NOT NULL OPTIONS (description = 'FALSE: running it again cannot help.'),
  first_failure TIMESTAMP NOT NULL,
  last_failure TIMESTAMP NOT NULL,
  attempts INT64 NOT NULL OPTIONS (description = 'Replays begun since the first failure.'),
  next_attempt_at TIMESTAMP NOT NULL OPTIONS (description = 'Earliest time of the next replay.'),
  status STRING NOT NULL OPTIONS (description = 'waiting, replayed or set_aside.'),
  settled_at TIMESTAMP OPTIONS (description = 'When it was replayed or set aside.')
)
PARTITION BY DATE(first_failure)
CLUSTER BY dlq_id
OPTIONS (
  partition_expiration_days = 400,
  description = 'Failed sync intervals and what became of them.',
  labels = [('pipeline', 'draws')]
);
