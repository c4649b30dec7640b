-- Purpose: remember that these batches are gone by age, in the transaction that deletes their rows.
-- Grain: batch.
-- Parameters: keep_days; batch_id (the batch just pushed, which always stays).
-- Repeatable: a batch that is marked keeps its time.
UPDATE rsp_datagovern.evidence_batch
SET purged_at = UTC_TIMESTAMP(6)
WHERE published_at < UTC_TIMESTAMP(6) - INTERVAL %(keep_days)s DAY
  AND batch_id <> %(batch_id)s
  AND purged_at IS NULL
