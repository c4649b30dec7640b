-- Purpose: what the queries of each DAG cost, by the label that every job carries.
-- Grain: one row a DAG label.
-- Parameters: @start, @end (TIMESTAMP, half open).
-- Figures are NULL for jobs that failed or are still running; they count as 0.
-- The BigQuery emulator has no INFORMATION_SCHEMA.JOBS; the report says so there.

SELECT
  COALESCE((SELECT label.value FROM UNNEST(labels) AS label WHERE label.key = 'dag'), 'none') AS dag,
  COUNT(*) AS jobs,
  COALESCE(SUM(total_bytes_billed), 0) AS bytes_billed,
  COALESCE(SUM(total_slot_ms), 0) AS slot_ms
FROM `{{ project }}.region-{{ location }}`.INFORMATION_SCHEMA.JOBS
WHERE creation_time >= @start AND creation_time < @end
  AND job_type = 'QUERY'
  -- The row of a script holds its statements' figures once more. A job that failed early has no type.
  AND COALESCE(statement_type, '') != 'SCRIPT'
GROUP BY dag
ORDER BY bytes_billed DESC;
