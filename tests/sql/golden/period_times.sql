-- labels: {'dag': 'draw_sync', 'task': 'sync', 'statement': 'sync_period_times'}
-- maximumBytesBilled: 10737418240
-- @period_from INT64 = 3342780
-- @period_until INT64 = 3342804
-- @earliest TIMESTAMP = 2025-09-25 16:00:00+00:00
-- @latest TIMESTAMP = 2025-10-10 01:05:00+00:00

SELECT
  MIN(timestamp) AS first_time,
  MAX(timestamp) AS last_time
FROM (
  SELECT timestamp
  FROM `wprojectl.drawsguard.draws`
  WHERE timestamp >= @earliest AND timestamp < @latest AND period >= @period_from AND period < @period_until
  UNION ALL
  SELECT timestamp
  FROM `wprojectl.pc28.draws`
  WHERE timestamp >= @earliest AND timestamp < @latest AND period >= @period_from AND period < @period_until
);
