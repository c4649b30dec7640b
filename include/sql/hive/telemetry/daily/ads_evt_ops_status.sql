-- Purpose: whether each metric was used on the day (eid 1 or 0) and when last, and the row checkCount with the number of
--          distinct minutes of the day, 1440 when it is whole.
--          A rejected record that holds a number counts as use, as in the window flow.
-- Grain: metric, and the row checkCount.
-- Parameters: pt_dt (yyyy-MM-dd).
-- Repeatable: replaces the daily flow's partition. A day without telemetry gets no row at all. The last step is the
--          GROUP BY: an INSERT that ends with UNION ALL fails on MapReduce, and on Tez it leaves a folder for each branch,
--          which other readers may miss.
INSERT OVERWRITE TABLE cma.ads_evt_ops_status PARTITION (flow = 'daily')
SELECT
  MAX(oper_ts),
  oper_type,
  CASE WHEN oper_type = 'checkCount' THEN SUM(eid) WHEN SUM(eid) > 0 THEN 1 ELSE 0 END
FROM (
  SELECT oper_ts, oper_type, eid
  FROM cma.base_evt
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
  UNION ALL
  SELECT DISTINCT oper_ts, 'checkCount' AS oper_type, 1 AS eid
  FROM cma.base_evt
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s
  UNION ALL
  SELECT
    concat(pt_dt, ' 23:59:00') AS oper_ts,
    substr(
      CASE
        WHEN length(oper_type) <= 128 THEN regexp_replace(oper_type, '[^!-~]', '?')
        ELSE regexp_replace(oper_type, '[^0-9]+', '_')
      END, 1, 128
    ) AS oper_type,
    copies AS eid
  FROM cma.evt_rejected
  WHERE flow = 'daily' AND pt_dt = %(pt_dt)s AND reason <> 'duplicate_upload' AND oper_type RLIKE '[0-9]'
) used
GROUP BY oper_type;
