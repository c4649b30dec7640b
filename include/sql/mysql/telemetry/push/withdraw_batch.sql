-- Purpose: for people: remove a batch whose rows were changed by someone else, after it is known who did. No task runs
--          this. The batch can be pushed again afterwards; what it added to the accumulated table stays counted once.
-- Grain: batch.
-- Parameters: batch_id.
-- Repeatable: deleting nothing is no error, and a purged batch stays purged.
DELETE FROM rsp_datagovern.ads_evt_ops_status_ago
WHERE batch_id = %(batch_id)s;

UPDATE rsp_datagovern.evidence_batch
SET purged_at = COALESCE(purged_at, UTC_TIMESTAMP(6))
WHERE batch_id = %(batch_id)s;
