-- Purpose: publish the staged rows under their batch id, in the order of the primary key.
-- Grain: metric of the batch.
-- Parameters: batch_id.
-- Repeatable: the batch's rows were deleted in the same transaction.
INSERT INTO rsp_datagovern.ads_evt_ops_status_ago (batch_id, oper_type, oper_ts, eid)
SELECT %(batch_id)s, oper_type, oper_ts, eid
FROM evidence_stage
ORDER BY oper_type
