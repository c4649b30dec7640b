-- Purpose: bring the newest version of each draw in the bounds into the target.
-- Grain: one row a period. The source keeps every version and is deduplicated here, so a MERGE never meets two rows.
-- Parameters: read_from, read_until TIMESTAMP and period_from, period_until INT64 (half-open) are constants, so both
--   tables are pruned by partition and cluster; they span every version of these periods. synced_at TIMESTAMP,
--   never after the engine's clock: the monitoring views would not see the row until then.
-- Repeatable: MERGE on period; a matched row is written only by a newer version (draw_version is a total
--   order), so repeated, late and overlapping runs end in the same table.

MERGE `{{ project }}.{{ target_dataset }}.draws` AS target
USING (
  WITH versions AS (
    SELECT
      period,
      timestamp,
      numbers,
      sum_value,
      big_small,
      odd_even,
      created_at,
      updated_at,
      `{{ project }}.{{ source_dataset }}.draw_version`(
        updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
      ) AS version
    FROM `{{ project }}.{{ source_dataset }}.draws`
    WHERE timestamp >= @read_from AND timestamp < @read_until
      AND period >= @period_from AND period < @period_until
  )
  SELECT
    period,
    timestamp,
    numbers,
    sum_value,
    big_small,
    odd_even,
    created_at,
    updated_at,
    version
  FROM versions
  WHERE TRUE
  QUALIFY ROW_NUMBER() OVER (PARTITION BY period ORDER BY version DESC) = 1
) AS source
ON target.period = source.period
  AND target.timestamp >= @read_from AND target.timestamp < @read_until
WHEN MATCHED AND source.version > `{{ project }}.{{ source_dataset }}.draw_version`(
  target.updated_at,
  target.created_at,
  target.timestamp,
  target.numbers,
  target.sum_value,
  target.big_small,
  target.odd_even
) THEN UPDATE SET
  timestamp = source.timestamp,
  numbers = source.numbers,
  sum_value = source.sum_value,
  big_small = source.big_small,
  odd_even = source.odd_even,
  created_at = source.created_at,
  updated_at = source.updated_at,
  synced_at = LEAST(@synced_at, CURRENT_TIMESTAMP())
WHEN NOT MATCHED THEN INSERT (
  period, timestamp, numbers, sum_value, big_small, odd_even, created_at, updated_at, synced_at
)
VALUES (
  source.period,
  source.timestamp,
  source.numbers,
  source.sum_value,
  source.big_small,
  source.odd_even,
  source.created_at,
  source.updated_at,
  LEAST(@synced_at, CURRENT_TIMESTAMP())
);
