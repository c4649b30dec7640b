-- Purpose: delete the rows of batches that were published too long ago.
-- Grain: batch.
-- Parameters: keep_days; batch_id (the batch just pushed, which always stays).
-- Repeatable: deleting nothing is no error. Rows without a batch are never touched.
DELETE old_row
FROM rsp_datagovern.ads_evt_ops_status_ago AS old_row
JOIN rsp_datagovern.evidence_batch AS old_batch ON old_batch.batch_id = old_row.batch_id
WHERE old_batch.published_at < UTC_TIMESTAMP(6) - INTERVAL %(keep_days)s DAY
  AND old_batch.batch_id <> %(batch_id)s
