-- labels: {'dag': 'draw_sync', 'task': 'sync', 'statement': 'sync_window_periods'}
-- maximumBytesBilled: 10737418240
-- @window_start TIMESTAMP = 2025-10-02 16:00:00+00:00
-- @window_end TIMESTAMP = 2025-10-03 01:05:00+00:00

SELECT
  MIN(period) AS first_period,
  MAX(period) AS last_period
FROM (
  SELECT period
  FROM `wprojectl.drawsguard.draws`
  WHERE timestamp >= @window_start AND timestamp < @window_end
  UNION ALL
  SELECT period
  FROM `wprojectl.pc28.draws`
  WHERE timestamp >= @window_start AND timestamp < @window_end
);
