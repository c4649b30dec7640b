-- Purpose: append events to the lives of alerts.
-- Grain: one row a (event_id).
-- Parameters: @rows (JSON array of objects named like the columns), @oldest and @newest (bounds of event_at).
-- Repeatable: a MERGE on the key; what is there already is left as it is. An event that a clock ahead has stamped gets
--   BigQuery's time, which is looked for an hour back.

MERGE `{{ project }}.{{ monitor_dataset }}.alert_log` AS log
USING (
  SELECT
    JSON_VALUE(entry, '$.event_id') AS event_id,
    JSON_VALUE(entry, '$.alert_id') AS alert_id,
    JSON_VALUE(entry, '$.alert_key') AS alert_key,
    JSON_VALUE(entry, '$.kind') AS kind,
    JSON_VALUE(entry, '$.priority') AS priority,
    LEAST(TIMESTAMP(JSON_VALUE(entry, '$.event_at')), LEAST(@newest, CURRENT_TIMESTAMP())) AS event_at,
    JSON_VALUE(entry, '$.actor') AS actor,
    JSON_VALUE(entry, '$.detail') AS detail,
    TIMESTAMP(JSON_VALUE(entry, '$.until')) AS until,
    JSON_VALUE(entry, '$.explained_by') AS explained_by,
    JSON_VALUE(entry, '$.run_id') AS run_id
  FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS entry
) AS source
ON
  log.event_at >= TIMESTAMP_SUB(LEAST(@oldest, CURRENT_TIMESTAMP()), INTERVAL 1 HOUR)
  AND log.event_at <= @newest
  AND log.event_id = source.event_id
WHEN NOT MATCHED THEN INSERT (
  event_id,
  alert_id,
  alert_key,
  kind,
  priority,
  event_at,
  actor,
  detail,
  until,
  explained_by,
  run_id
) VALUES (
  source.event_id,
  source.alert_id,
  source.alert_key,
  source.kind,
  source.priority,
  source.event_at,
  source.actor,
  source.detail,
  source.until,
  source.explained_by,
  source.run_id
);
