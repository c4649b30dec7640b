-- Purpose: what the queries of each DAG cost, by the label that every job carries.
-- Grain: one row a DAG label.
-- Parameters: @start, @end (TIMESTAMP, half open).
-- Why it can be re-run: a query.
-- The BigQuery emulator has no INFORMATION_SCHEMA.JOBS; the report says so there.

SELECT
  COALESCE((SELECT label.value FROM UNNEST(labels) AS label WHERE label.key = 'dag'), 'none') AS dag,
  COUNT(*) AS jobs,
  SUM(total_bytes_billed) AS bytes_billed,
  SUM(total_slot_ms) AS slot_ms
FROM `{{ project }}.region-{{ location }}`.INFORMATION_SCHEMA.JOBS
WHERE creation_time >= @start AND creation_time < @end AND job_type = 'QUERY'
GROUP BY dag
ORDER BY bytes_billed DESC;
