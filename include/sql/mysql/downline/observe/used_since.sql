-- Purpose: metrics that were seen at or after a moment, in any batch and in the accumulated table.
-- Grain: one row a metric and source.
-- Parameters: since (business time).
SELECT oper_type, oper_ts, eid
FROM rsp_datagovern.ads_evt_ops_status_ago
WHERE oper_ts >= %(since)s AND eid > 0
UNION ALL
SELECT oper_type, oper_ts, eid
FROM rsp_datagovern.ads_evt_ops_status
WHERE oper_ts >= %(since)s AND eid > 0
