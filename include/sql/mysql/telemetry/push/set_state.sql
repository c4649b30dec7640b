-- Purpose: note how far a batch came.
-- Grain: batch.
-- Parameters: batch_id, state.
-- Repeatable: setting the same state again changes nothing but the time of completion.
UPDATE rsp_datagovern.evidence_batch
SET state = %(state)s, completed_at = CASE WHEN %(state)s = 'completed' THEN UTC_TIMESTAMP(6) END
WHERE batch_id = %(batch_id)s
