-- Purpose: add a batch of the daily flow to everything ever reported: the last time of use, the count accumulated.
-- Grain: metric.
-- Parameters: batch_id.
-- Repeatable: runs only in the transaction in which mark_consolidated.sql changed one row.
INSERT INTO rsp_datagovern.ads_evt_ops_status (oper_type, oper_ts, eid)
SELECT batch.oper_type, batch.oper_ts, batch.eid
FROM rsp_datagovern.ads_evt_ops_status_ago AS batch
WHERE batch.batch_id = %(batch_id)s AND batch.oper_type <> 'checkCount'
ON DUPLICATE KEY UPDATE
  oper_ts = GREATEST(ads_evt_ops_status.oper_ts, batch.oper_ts),
  eid = ads_evt_ops_status.eid + batch.eid
