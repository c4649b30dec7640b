-- Purpose: the metrics of one evidence batch that are named.
-- Grain: one row a metric.
-- Parameters: evidence_batch, oper_types.
SELECT oper_type, oper_ts, eid
FROM rsp_datagovern.ads_evt_ops_status_ago
WHERE batch_id = %(evidence_batch)s AND oper_type IN %(oper_types)s
ORDER BY oper_type
