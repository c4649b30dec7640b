-- labels: {'dag': 'draw_sync', 'task': 'sync', 'statement': 'sync_period_hours'}
-- maximumBytesBilled: 10737418240
-- @period_from INT64 = 3342780
-- @period_until INT64 = 3342804
-- @earliest TIMESTAMP = 2000-01-01 00:00:00+00:00

SELECT
  MIN(hour_utc) AS first_hour,
  TIMESTAMP_ADD(MAX(hour_utc), INTERVAL 1 HOUR) AS end_hour
FROM (
  SELECT hour_utc
  FROM `wprojectl.drawsguard.draw_versions_hourly_mv`
  WHERE hour_utc >= @earliest AND first_period < @period_until AND last_period >= @period_from
  UNION ALL
  SELECT hour_utc
  FROM `wprojectl.pc28.draws_hourly_mv`
  WHERE hour_utc >= @earliest AND first_period < @period_until AND last_period >= @period_from
);
