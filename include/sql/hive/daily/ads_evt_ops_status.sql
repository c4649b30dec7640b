-- Purpose: whether each metric was used on the day (eid 1 or 0) and when last, and the row checkCount with the number of
--          distinct minutes of the day, 1440 when it is whole.
-- Grain: metric, and the row checkCount.
-- Parameters: pt_dt (yyyy-MM-dd).
-- Why it can be re-run: replaces the daily flow's partition. A day without telemetry gets no row at all.
INSERT OVERWRITE TABLE cma.ads_evt_ops_status PARTITION (flow = 'daily')
SELECT oper_ts, oper_type, eid
FROM (
  SELECT MAX(oper_ts) AS oper_ts, oper_type, CASE WHEN SUM(eid) > 0 THEN 1L ELSE 0L END AS eid
  FROM cma.base_evt
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
  GROUP BY oper_type
  UNION ALL
  SELECT MAX(oper_ts) AS oper_ts, 'checkCount' AS oper_type, COUNT(DISTINCT oper_ts) AS eid
  FROM cma.base_evt
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
  GROUP BY pt_dt
) usage_of_day;
