-- Purpose: rows, sum and checksum of what arrived; Hive computes the same (source_facts.sql).
-- Grain: one row.
SELECT
  COUNT(*),
  COALESCE(SUM(eid), 0),
  COALESCE(SUM(CRC32(CONCAT_WS('|', oper_type, oper_ts, eid))), 0)
FROM evidence_stage
