-- Purpose: claim a batch for consolidation; of two attempts only one changes a row.
-- Grain: batch.
-- Parameters: batch_id.
-- Repeatable: a batch that is marked stays as it is, and is not added again.
UPDATE rsp_datagovern.evidence_batch
SET consolidated_at = UTC_TIMESTAMP(6)
WHERE batch_id = %(batch_id)s AND consolidated_at IS NULL
