-- Purpose: evidence of each feature refresh: what it saw, what it wrote and how long it really took.
-- Grain: one row per (dag, run, try).
-- Parameters: none.
-- Why it can be re-run: IF NOT EXISTS. Logs expire; draws and features do not.
CREATE TABLE IF NOT EXISTS `{{ project }}.{{ monitor_dataset }}.feature_update_log` (
  logged_at TIMESTAMP NOT NULL,
  dag_id STRING NOT NULL,
  run_id STRING NOT NULL,
  try_number INT64 NOT NULL,
  job_id STRING,
  window_from TIMESTAMP NOT NULL,
  window_to TIMESTAMP NOT NULL,
  rebuild BOOL NOT NULL,
  first_issue INT64,
  last_issue INT64,
  rows_in INT64 NOT NULL,
  rows_written INT64 NOT NULL,
  started_at TIMESTAMP NOT NULL,
  seconds FLOAT64 NOT NULL,
  status STRING NOT NULL,
  error STRING
)
PARTITION BY DATE(logged_at)
CLUSTER BY status
OPTIONS (
  partition_expiration_days = 400,
  require_partition_filter = TRUE,
  description = 'One row per feature refresh: window, draws that had changed, rows written, seconds.'
);
