-- Purpose: the evidence that a report reads: the newest pushed window that is still kept, or a named batch.
-- Grain: one row at most.
-- Parameters: evidence_batch (NULL: the newest).
SELECT batch_id, window_start, window_end
FROM rsp_datagovern.evidence_batch
WHERE flow = 'window' AND purged_at IS NULL AND (%(evidence_batch)s IS NULL OR batch_id = %(evidence_batch)s)
ORDER BY window_end DESC, published_at DESC
LIMIT 1
