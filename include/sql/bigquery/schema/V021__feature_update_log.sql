-- Purpose: evidence of each feature refresh: what it saw, what it wrote and how long it really took.
-- Grain: one row a (dag, run, try, window, first issue).
-- Repeatable: IF NOT EXISTS. Logs expire after 400 days; draws and features never do.

CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.feature_update_log` (
  dag_id STRING NOT NULL,
  run_id STRING NOT NULL,
  try_number INT64 NOT NULL,
  window_from TIMESTAMP NOT NULL OPTIONS (description = 'Draw times that were searched for changes (inclusive).'),
  window_to TIMESTAMP NOT NULL OPTIONS (description = 'End of the searched draw times (exclusive).'),
  rebuild BOOL NOT NULL OPTIONS (description = 'TRUE: every draw of the window was recomputed, changed or not.'),
  job_id STRING OPTIONS (description = 'BigQuery job of the MERGE; NULL when nothing had changed.'),
  first_issue INT64 OPTIONS (description = 'Oldest issue that was recomputed.'),
  last_issue INT64 OPTIONS (description = 'Newest issue that was recomputed.'),
  rows_in INT64 NOT NULL OPTIONS (description = 'Draws seen new or changed.'),
  rows_written INT64 NOT NULL OPTIONS (description = 'Feature rows inserted or changed.'),
  seconds FLOAT64 NOT NULL OPTIONS (description = 'From the start of the attempt to its end.'),
  status STRING NOT NULL OPTIONS (description = 'success or failed.'),
  error STRING OPTIONS (description = 'Type and message of what failed the attempt.'),
  started_at TIMESTAMP NOT NULL,
  finished_at TIMESTAMP NOT NULL
)
PARTITION BY DATE(finished_at)
CLUSTER BY dag_id, run_id
OPTIONS (
  partition_expiration_days = 400,
  description = 'One row a refreshed window: draws that had changed, rows written, seconds.',
  labels = [('pipeline', 'draws')]
);
