-- Purpose: the metrics of one evidence batch.
-- Grain: one row a metric.
-- Parameters: evidence_batch.
SELECT oper_type, oper_ts, eid
FROM rsp_datagovern.ads_evt_ops_status_ago
WHERE batch_id = %(evidence_batch)s
