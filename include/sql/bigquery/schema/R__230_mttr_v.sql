-- Purpose: how long missing draws take from detection to repair, a day.
-- Grain: one row a Beijing day with detections.
CREATE OR REPLACE VIEW `{{ project }}.{{ monitor_dataset }}.mttr_v`
OPTIONS (description = 'Mean and longest time from detection to repair, by day of detection.')
AS
SELECT
  DATE(detected_at, 'Asia/Shanghai') AS beijing_day,
  COUNT(*) AS detected,
  COUNTIF(status = 'repaired') AS repaired,
  COUNTIF(status = 'nobody_has') AS nobody_has,
  AVG(repair_seconds) AS mttr_seconds,
  MAX(repair_seconds) AS longest_seconds
FROM `{{ project }}.{{ monitor_dataset }}.repair_log`
WHERE detected_at >= TIMESTAMP_SUB(CURRENT_TIMESTAMP(), INTERVAL 400 DAY)
GROUP BY beijing_day;
