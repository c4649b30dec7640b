-- Purpose: the rows to push, already as the tab-separated lines that LOAD DATA takes, many lines to a value: the Thrift
--          protocol costs by the value, so a million rows travel as some tens of values instead of three million.
--          Each chunk brings its rows, sum and checksum, computed from the same read of the table.
-- Grain: one row per chunk of rows.
-- Parameters: flow; chunk_count (rows are spread over this many values by the hash of their key).
SELECT
  COUNT(*),
  SUM(eid),
  SUM(crc32(concat_ws('|', oper_type, oper_ts, CAST(eid AS STRING)))),
  concat_ws('\n', collect_list(concat_ws('\t', oper_type, oper_ts, CAST(eid AS STRING))))
FROM cma.ads_evt_ops_status
WHERE flow = %(flow)s
GROUP BY pmod(hash(oper_type), %(chunk_count)s)
