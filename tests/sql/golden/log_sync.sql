-- labels: {'dag': 'draw_sync', 'task': 'sync', 'statement': 'sync_log_sync'}
-- maximumBytesBilled: 10737418240
-- @dag_id STRING = draw_sync
-- @task_id STRING = sync
-- @interval_start TIMESTAMP = 2025-10-03 01:00:00+00:00
-- @interval_end TIMESTAMP = 2025-10-03 01:05:00+00:00
-- @mode STRING = interval
-- @run_id STRING = scheduled__2025-10-03T01:05:00+00:00
-- @try_number INT64 = 1
-- @job_id STRING = job_1
-- @window_start TIMESTAMP = 2025-10-03 00:00:00+00:00
-- @window_end TIMESTAMP = 2025-10-03 01:05:00+00:00
-- @inserted INT64 = 22
-- @updated INT64 = 1
-- @affected INT64 = 23
-- @bytes_billed INT64 = 10485760
-- @slot_ms INT64 = 412
-- @seconds FLOAT64 = 3.0
-- @status STRING = success
-- @error STRING = None
-- @started_at TIMESTAMP = 2025-10-03 01:05:02+00:00
-- @finished_at TIMESTAMP = 2025-10-03 01:05:05+00:00
-- @retained_from TIMESTAMP = 2025-10-02 01:00:00+00:00

MERGE `wprojectl.pc28_monitor.sync_log` AS target
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
