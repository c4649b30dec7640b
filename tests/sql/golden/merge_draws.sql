-- labels: {'dag': 'draw_sync', 'task': 'sync', 'statement': 'sync_merge_draws'}
-- maximumBytesBilled: 10737418240
-- @read_from TIMESTAMP = 2025-10-03 00:00:00+00:00
-- @read_until TIMESTAMP = 2025-10-03 01:05:00+00:00
-- @period_from INT64 = 3342780
-- @period_until INT64 = 3342804
-- @synced_at TIMESTAMP = 2025-10-03 01:05:02+00:00

MERGE `wprojectl.pc28.draws` AS target
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
      `wprojectl.drawsguard.draw_version`(
        updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
      ) AS version
    FROM `wprojectl.drawsguard.draws`
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
WHEN MATCHED AND source.version > `wprojectl.drawsguard.draw_version`(
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
