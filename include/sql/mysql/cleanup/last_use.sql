-- Purpose: when each metric was last seen: in everything the daily flow ever reported, and in the newest window.
-- Grain: one row a metric and source.
SELECT oper_type, oper_ts, eid
FROM rsp_datagovern.ads_evt_ops_status
UNION ALL
SELECT a.oper_type, a.oper_ts, a.eid
FROM rsp_datagovern.ads_evt_ops_status_ago a
JOIN (
  SELECT batch_id
  FROM rsp_datagovern.evidence_batch
  WHERE flow = 'window' AND purged_at IS NULL
  ORDER BY window_end DESC, published_at DESC
  LIMIT 1
) newest ON newest.batch_id = a.batch_id
