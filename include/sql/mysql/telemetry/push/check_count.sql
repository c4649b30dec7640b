-- Purpose: the minutes that the daily flow counted.
-- Grain: at most one row.
-- Parameters: batch_id.
SELECT eid
FROM rsp_datagovern.ads_evt_ops_status_ago
WHERE batch_id = %(batch_id)s AND oper_type = 'checkCount'
