-- Purpose: take a batch that is about to be replaced out of the accumulated counts, so that its new rows count once.
-- Grain: metric of the batch.
-- Parameters: batch_id.
-- Repeatable: runs only while consolidated_at is set, in the transaction that clears it. The last time of use
--                       stays: it cannot be known from the other batches, and a later time only delays a downline.
UPDATE rsp_datagovern.ads_evt_ops_status AS total
JOIN rsp_datagovern.ads_evt_ops_status_ago AS batch ON batch.oper_type = total.oper_type
SET total.eid = total.eid - batch.eid
WHERE batch.batch_id = %(batch_id)s AND batch.oper_type <> 'checkCount'
