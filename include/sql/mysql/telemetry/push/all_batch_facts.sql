-- Purpose: rows, sum and checksum of every batch that is kept, to find rows that someone else changed.
-- Grain: batch.
SELECT
  batch_id,
  COUNT(*),
  COALESCE(SUM(eid), 0),
  COALESCE(SUM(CRC32(CONCAT_WS('|', oper_type, oper_ts, eid))), 0)
FROM rsp_datagovern.ads_evt_ops_status_ago
GROUP BY batch_id
