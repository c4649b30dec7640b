-- labels: {'dag': 'draw_sync', 'task': 'sync', 'statement': 'sync_watermark'}
-- maximumBytesBilled: 10737418240
-- @retained_from TIMESTAMP = 2024-08-29 01:05:02+00:00

SELECT MAX(interval_end) AS watermark
FROM `wprojectl.pc28_monitor.sync_log`
WHERE finished_at >= @retained_from
  AND mode = 'interval'
  AND status = 'success';
