-- Purpose: the last day that the usage evidence covers which was pushed and is still kept.
-- Grain: one row; NULL when nothing was pushed yet.
SELECT MAX(window_end)
FROM rsp_datagovern.evidence_batch
WHERE flow = 'window' AND purged_at IS NULL
