-- Purpose: remove the days of a batch that is about to be replaced.
-- Grain: day.
-- Parameters: batch_id.
-- Repeatable: deleting nothing is no error.
DELETE FROM rsp_datagovern.evidence_batch_day
WHERE batch_id = %(batch_id)s
