-- labels: {'dag': 'warehouse_schema', 'task': 'migrate', 'statement': 'schema_r__100_draws_dedup_v'}
-- maximumBytesBilled: 10737418240

CREATE OR REPLACE VIEW `wprojectl.drawsguard.draws_dedup_v`
OPTIONS (description = 'Newest version of every draw: one row a period.')
AS
SELECT
  period,
  timestamp,
  numbers,
  sum_value,
  big_small,
  odd_even,
  created_at,
  updated_at,
  ingested_at
FROM `wprojectl.drawsguard.draws`
WHERE timestamp >= TIMESTAMP '2000-01-01 00:00:00+00:00'
QUALIFY ROW_NUMBER() OVER (
  PARTITION BY period
  ORDER BY
    `wprojectl.drawsguard.draw_version`(
      updated_at, created_at, timestamp, numbers, sum_value, big_small, odd_even
    ) DESC,
    ingested_at
) = 1;
