-- Purpose: let one process work on a batch at a time; the second waits until the first commits or is gone.
-- Grain: batch.
-- Parameters: batch_id.
-- Repeatable: a lock within the caller's transaction.
SELECT consolidated_at IS NOT NULL
FROM rsp_datagovern.evidence_batch
WHERE batch_id = %(batch_id)s
FOR UPDATE
