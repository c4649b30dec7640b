-- Purpose: rows, sum and checksum of one published batch; Hive computes the same (source_facts.sql).
-- Grain: one row.
-- Parameters: batch_id.
SELECT
  COUNT(*),
  COALESCE(SUM(eid), 0),
  COALESCE(SUM(CRC32(CONCAT_WS('|', oper_type, oper_ts, eid))), 0)
FROM rsp_datagovern.ads_evt_ops_status_ago
WHERE batch_id = %(batch_id)s
