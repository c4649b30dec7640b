-- Purpose: the newest usage evidence that was pushed, which reports and observations read.
-- Grain: one row at most.
SELECT batch_id, window_start, window_end, state, row_count, published_at
FROM rsp_datagovern.evidence_batch
WHERE flow = 'window'
ORDER BY window_end DESC, published_at DESC
LIMIT 1
