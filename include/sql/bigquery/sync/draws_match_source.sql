-- Purpose: select every draw whose row in the target is not what the source says. No row means that all is well.
--   missing: not in the target. duplicate: more than once. stale: an older version than the source's newest.
--   foreign: values that no version in the source has.
-- Grain: one row a wrong period.
-- Parameters: read_from, read_until TIMESTAMP and period_from, period_until INT64 (half-open), as for merge_draws.sql;
--   settled_before TIMESTAMP: versions collected from then on may be newer than the sync and are not demanded yet.
WITH versions AS (
  SELECT
    period,
    ingested_at,
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version
  FROM `{{ project }}.{{ source_dataset }}.draws`
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
    `{{ project }}.{{ source_dataset }}.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) AS version
  FROM `{{ project }}.{{ target_dataset }}.draws`
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
