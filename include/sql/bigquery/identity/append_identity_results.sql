-- Purpose: keep the results of one round of identity checks.
-- Grain: one row a (run_id, service, check_number).
-- Parameters: @rows (JSON array of objects named like the columns), @oldest and @newest (bounds of checked_at).
-- Repeatable: a MERGE on the key; what is there already is left as it is.

MERGE `{{ project }}.{{ monitor_dataset }}.identity_check_log` AS log
USING (
  SELECT
    JSON_VALUE(entry, '$.run_id') AS run_id,
    JSON_VALUE(entry, '$.service') AS service,
    SAFE_CAST(JSON_VALUE(entry, '$.check_number') AS INT64) AS check_number,
    JSON_VALUE(entry, '$.check_name') AS check_name,
    TIMESTAMP(JSON_VALUE(entry, '$.checked_at')) AS checked_at,
    JSON_VALUE(entry, '$.status') AS status,
    JSON_VALUE(entry, '$.findings') AS findings
  FROM UNNEST(JSON_QUERY_ARRAY(@rows)) AS entry
) AS source
ON
  log.checked_at >= @oldest
  AND log.checked_at <= @newest
  AND log.run_id = source.run_id
  AND log.service = source.service
  AND log.check_number = source.check_number
WHEN NOT MATCHED THEN INSERT (
  run_id,
  service,
  check_number,
  check_name,
  checked_at,
  status,
  findings
) VALUES (
  source.run_id,
  source.service,
  source.check_number,
  source.check_name,
  source.checked_at,
  source.status,
  source.findings
);
