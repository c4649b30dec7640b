-- Purpose: the fingerprint of each source day, to find new and late ones. Reads one column, constant within a file.
-- Grain: day.
-- Parameters: first, last (yyyy-MM-dd, both included).
SELECT pt_dt, COUNT(*) AS raw_rows, MAX(`_hoodie_commit_time`) AS last_commit
FROM datalake_platform.cma_hudi
WHERE pt_dt BETWEEN %(first)s AND %(last)s
GROUP BY pt_dt
