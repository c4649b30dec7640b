-- labels: {'dag': 'draw_sync', 'task': 'verify', 'statement': 'sync_draws_match_source'}
-- maximumBytesBilled: 10737418240
-- @read_from TIMESTAMP = 2025-10-03 00:00:00+00:00
-- @read_until TIMESTAMP = 2025-10-03 01:05:00+00:00
-- @period_from INT64 = 3342780
-- @period_until INT64 = 3342804
-- @settled_before TIMESTAMP = 2025-10-03 01:04:02+00:00

WITH versions AS (
  SELECT
    period,
    ingested_at,
    `wprojectl.drawsguard.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version
  FROM `wprojectl.drawsguard.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until
    AND period >= @period_from AND period < @period_until
),
expected AS (
  SELECT
    period,
    MAX(version) AS version
  FROM versions
  WHERE ingested_at < @settled_before
  GROUP BY period
),
target_rows AS (
  SELECT
    period,
    `wprojectl.drawsguard.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version
  FROM `wprojectl.pc28.draws`
  WHERE timestamp >= @read_from AND timestamp < @read_until
    AND period >= @period_from AND period < @period_until
),
actual AS (
  SELECT
    period,
    COUNT(*) AS copies,
    MIN(version) AS version
  FROM target_rows
  GROUP BY period
),
known AS (
  SELECT DISTINCT
    period,
    version
  FROM versions
)
SELECT
  COALESCE(expected.period, actual.period) AS period,
  CASE
    WHEN actual.period IS NULL THEN 'missing'
    WHEN actual.copies > 1 THEN 'duplicate'
    WHEN known.period IS NULL THEN 'foreign'
    ELSE 'stale'
  END AS problem,
  expected.version AS expected,
  actual.version AS actual
FROM expected
FULL OUTER JOIN actual ON actual.period = expected.period
LEFT JOIN known ON known.period = actual.period AND known.version = actual.version
WHERE actual.period IS NULL
  OR actual.copies > 1
  OR known.period IS NULL
  OR expected.version > actual.version
ORDER BY 1;
