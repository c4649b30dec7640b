-- Purpose: say which window ads_evt_ops_status was built from and what it held then, so that a push can detect an older
--          or altered table from the one it expects.
-- Grain: flow.
-- Parameters: flow; first, last (yyyy-MM-dd, both included).
-- Repeatable: replaces the flow's stamp.
INSERT OVERWRITE TABLE cma.ads_evt_ops_build PARTITION (flow = %(flow)s)
SELECT
  %(first)s,
  %(last)s,
  COUNT(*),
  COALESCE(SUM(eid), 0),
  COALESCE(SUM(crc32(concat_ws('|', oper_type, oper_ts, CAST(eid AS STRING)))), 0)
FROM cma.ads_evt_ops_status
WHERE flow = %(flow)s;
