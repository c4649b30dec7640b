-- Purpose: record what a feature refresh did to one span of draws.
-- Grain: one row a (dag, run, try, window, first issue).
-- Parameters: one a column of feature_update_log, of the same name; @finished_at is the time of the entry.
-- Repeatable: MERGE on the grain; the entry of a repeated call replaces the first.
MERGE `{{ project }}.{{ monitor_dataset }}.feature_update_log` AS target
USING (
  SELECT
    @dag_id AS dag_id, @run_id AS run_id, @try_number AS try_number, @window_from AS window_from,
    @window_to AS window_to, @rebuild AS rebuild, @job_id AS job_id, @first_issue AS first_issue,
    @last_issue AS last_issue, @rows_in AS rows_in, @rows_written AS rows_written, @seconds AS seconds,
    @status AS status, @error AS error, @started_at AS started_at, @finished_at AS finished_at
) AS source
ON target.dag_id = source.dag_id
  AND target.run_id = source.run_id
  AND target.try_number = source.try_number
  AND target.window_from = source.window_from
  AND target.first_issue IS NOT DISTINCT FROM source.first_issue
  AND target.finished_at >= TIMESTAMP_SUB(@finished_at, INTERVAL 2 DAY)
WHEN MATCHED THEN UPDATE SET
  window_to = source.window_to,
  rebuild = source.rebuild,
  job_id = source.job_id,
  last_issue = source.last_issue,
  rows_in = source.rows_in,
  rows_written = source.rows_written,
  seconds = source.seconds,
  status = source.status,
  error = source.error,
  started_at = source.started_at,
  finished_at = source.finished_at
WHEN NOT MATCHED THEN INSERT (
  dag_id, run_id, try_number, window_from, window_to, rebuild, job_id, first_issue, last_issue, rows_in, rows_written,
  seconds, status, error, started_at, finished_at
) VALUES (
  source.dag_id, source.run_id, source.try_number, source.window_from, source.window_to, source.rebuild, source.job_id,
  source.first_issue, source.last_issue, source.rows_in, source.rows_written, source.seconds, source.status,
  source.error, source.started_at, source.finished_at
)
