-- Purpose: record how an attempt to sync an interval ended. Evidence and watermark; the MERGE is the guarantee.
-- Grain: one row a (dag, task, interval).
-- Parameters: the columns of sync_log; retained_from TIMESTAMP: no attempt at this interval was recorded before.
-- Repeatable: MERGE on (dag, task, interval); the last attempt replaces the record of the one before. The window is what
--   that attempt read, wherever a draw of the interval had moved; the counts are its own, so affected = 0 may follow an
--   attempt that wrote rows and was killed before its record. Nothing may conclude from them what has changed.

MERGE `{{ project }}.{{ monitor_dataset }}.sync_log` AS target
USING (
  SELECT
    @dag_id AS dag_id,
    @task_id AS task_id,
    @interval_start AS interval_start,
    @interval_end AS interval_end,
    @mode AS mode,
    @run_id AS run_id,
    @try_number AS try_number,
    @job_id AS job_id,
    @window_start AS window_start,
    @window_end AS window_end,
    @inserted AS inserted,
    @updated AS updated,
    @affected AS affected,
    @bytes_billed AS bytes_billed,
    @slot_ms AS slot_ms,
    @seconds AS seconds,
    @status AS status,
    @error AS error,
    @started_at AS started_at,
    @finished_at AS finished_at
) AS source
ON target.dag_id = source.dag_id
  AND target.task_id = source.task_id
  AND target.interval_start = @interval_start
  AND target.interval_end = @interval_end
  AND target.finished_at >= @retained_from
WHEN MATCHED THEN UPDATE SET
  mode = source.mode,
  run_id = source.run_id,
  try_number = source.try_number,
  job_id = source.job_id,
  window_start = source.window_start,
  window_end = source.window_end,
  inserted = source.inserted,
  updated = source.updated,
  affected = source.affected,
  bytes_billed = source.bytes_billed,
  slot_ms = source.slot_ms,
  seconds = source.seconds,
  status = source.status,
  error = source.error,
  started_at = source.started_at,
  finished_at = source.finished_at
WHEN NOT MATCHED THEN INSERT (
  dag_id, task_id, interval_start, interval_end, mode, run_id, try_number, job_id, window_start, window_end,
  inserted, updated, affected, bytes_billed, slot_ms, seconds, status, error, started_at, finished_at
)
VALUES (
  source.dag_id,
  source.task_id,
  source.interval_start,
  source.interval_end,
  source.mode,
  source.run_id,
  source.try_number,
  source.job_id,
  source.window_start,
  source.window_end,
  source.inserted,
  source.updated,
  source.affected,
  source.bytes_billed,
  source.slot_ms,
  source.seconds,
  source.status,
  source.error,
  source.started_at,
  source.finished_at
);
