-- Purpose: report a failed task or a missed deadline to the monitor.
-- Grain: one row a (signal_id).
-- Parameters: @rows (JSON array of objects named like the columns), @oldest and @newest (bounds of signalled_at).
-- Repeatable: a MERGE on the key; what is there already is left as it is. A signal that a clock ahead has stamped gets
--   BigQuery's time, which is looked for an hour back: it would be the newest of its key for as long as the clock is ahead.

MERGE `{{ project }}.{{ monitor_dataset }}.alert_signal` AS log
USING (
  SELECT
    JSON_VALUE(entry, '$.signal_id') AS signal_id,
    JSON_VALUE(entry, '$.alert_key') AS alert_key,
    LEAST(TIMESTAMP(JSON_VALUE(entry, '$.signalled_at')), LEAST(@newest, CURRENT_TIMESTAMP())) AS signalled_at,
    JSON_VALUE(entry, '$.state') AS state,
    JSON_VALUE(entry, '$.priority') AS priority,
    JSON_VALUE(entry, '$.detail') AS detail,
    JSON_VALUE(entry, '$.run_id') AS run_id
  FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS entry
) AS source
ON
  log.signalled_at >= TIMESTAMP_SUB(LEAST(@oldest, CURRENT_TIMESTAMP()), INTERVAL 1 HOUR)
  AND log.signalled_at <= @newest
  AND log.signal_id = source.signal_id
WHEN NOT MATCHED THEN INSERT (
  signal_id,
  alert_key,
  signalled_at,
  state,
  priority,
  detail,
  run_id
) VALUES (
  source.signal_id,
  source.alert_key,
  source.signalled_at,
  source.state,
  source.priority,
  source.detail,
  source.run_id
);
