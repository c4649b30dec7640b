-- Purpose: delete the days of batches whose rows are gone.
-- Grain: day.
-- Repeatable: deleting nothing is no error.
DELETE old_day
FROM rsp_datagovern.evidence_batch_day AS old_day
JOIN rsp_datagovern.evidence_batch AS old_batch ON old_batch.batch_id = old_day.batch_id
WHERE old_batch.purged_at IS NOT NULL
