-- Purpose: keep the results of one round of checks.
-- Grain: one row a (run_id, check_name, subject).
-- Parameters: @rows (JSON array of objects named like the columns), @oldest and @newest (bounds of checked_at).
-- Repeatable: a MERGE on the key; what is there already is left as it is.

MERGE `{{ project }}.{{ monitor_dataset }}.check_log` AS log
USING (
  SELECT
    JSON_VALUE(entry, '$.run_id') AS run_id,
    JSON_VALUE(entry, '$.check_name') AS check_name,
    JSON_VALUE(entry, '$.subject') AS subject,
    TIMESTAMP(JSON_VALUE(entry, '$.checked_at')) AS checked_at,
    JSON_VALUE(entry, '$.priority') AS priority,
    JSON_VALUE(entry, '$.status') AS status,
    JSON_VALUE(entry, '$.expected') AS expected,
    JSON_VALUE(entry, '$.actual') AS actual,
    SAFE_CAST(JSON_VALUE(entry, '$.seconds') AS FLOAT64) AS seconds
  FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS entry
) AS source
ON
  log.checked_at >= @oldest
  AND log.checked_at <= @newest
  AND log.run_id = source.run_id
  AND log.check_name = source.check_name
  AND log.subject = source.subject
WHEN NOT MATCHED THEN INSERT (
  run_id,
  check_name,
  subject,
  checked_at,
  priority,
  status,
  expected,
  actual,
  seconds
) VALUES (
  source.run_id,
  source.check_name,
  source.subject,
  source.checked_at,
  source.priority,
  source.status,
  source.expected,
  source.actual,
  source.seconds
);
