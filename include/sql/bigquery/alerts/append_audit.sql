-- Purpose: record what a person asked for, approved or did.
-- Grain: one row a (entry_id).
-- Parameters: @rows (JSON array of objects named like the columns), @oldest and @newest (bounds of acted_at).
-- Repeatable: a MERGE on the key; what is there already is left as it is.

MERGE `{{ project }}.{{ monitor_dataset }}.operation_audit` AS log
USING (
  SELECT
    JSON_VALUE(entry, '$.entry_id') AS entry_id,
    TIMESTAMP(JSON_VALUE(entry, '$.acted_at')) AS acted_at,
    JSON_VALUE(entry, '$.operation') AS operation,
    JSON_VALUE(entry, '$.subject') AS subject,
    JSON_VALUE(entry, '$.action') AS action,
    JSON_VALUE(entry, '$.actor') AS actor,
    JSON_VALUE(entry, '$.digest') AS digest,
    JSON_VALUE(entry, '$.detail') AS detail,
    JSON_VALUE(entry, '$.run_id') AS run_id
  FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS entry
) AS source
ON
  log.acted_at >= @oldest
  AND log.acted_at <= @newest
  AND log.entry_id = source.entry_id
WHEN NOT MATCHED THEN INSERT (
  entry_id,
  acted_at,
  operation,
  subject,
  action,
  actor,
  digest,
  detail,
  run_id
) VALUES (
  source.entry_id,
  source.acted_at,
  source.operation,
  source.subject,
  source.action,
  source.actor,
  source.digest,
  source.detail,
  source.run_id
);
