-- Purpose: usage per metric in the window, summed from its days; no raw row is read. A rejected record that holds a number
--          counts as one use: telemetry of a point or tag that cannot be read is no sign that nobody uses it. Such a
--          metric keeps its text, with a question mark for what is no visible ASCII; a longer one keeps its numbers.
-- Grain: metric.
-- Parameters: first, last (yyyy-MM-dd, both included).
-- Repeatable: replaces the window flow's partition. The last step is the GROUP BY, not the UNION ALL (see the daily flow).
INSERT OVERWRITE TABLE cma.ads_evt_ops_status PARTITION (flow = 'window')
SELECT MAX(oper_ts), oper_type, SUM(eid)
FROM (
  SELECT oper_ts, oper_type, eid
  FROM cma.base_evt_day
  WHERE pt_dt BETWEEN %(first)s AND %(last)s
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
  WHERE flow = 'window' AND pt_dt BETWEEN %(first)s AND %(last)s
    AND reason <> 'duplicate_upload' AND oper_type RLIKE '[0-9]'
) used
GROUP BY oper_type;
