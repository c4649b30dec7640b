-- Purpose: rows, sum and checksum of what would be pushed. MySQL computes the same checksum (batch_facts.sql).
-- Grain: one row.
-- Parameters: flow.
SELECT
  COUNT(*),
  COALESCE(SUM(eid), 0),
  COALESCE(SUM(crc32(concat_ws('|', oper_type, oper_ts, CAST(eid AS STRING)))), 0)
FROM cma.ads_evt_ops_status
WHERE flow = %(flow)s
