-- Purpose: usage per metric in the window, summed from its days; no raw row is read.
-- Grain: metric.
-- Parameters: first, last (yyyy-MM-dd, both included).
-- Repeatable: replaces the window flow's partition.
INSERT OVERWRITE TABLE cma.ads_evt_ops_status PARTITION (flow = 'window')
SELECT MAX(oper_ts), oper_type, SUM(eid)
FROM cma.base_evt_day
WHERE pt_dt BETWEEN %(first)s AND %(last)s
GROUP BY oper_type;
