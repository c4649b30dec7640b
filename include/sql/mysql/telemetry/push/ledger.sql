-- Purpose: every batch that was ever pushed.
-- Grain: batch, the newest window last.
SELECT batch_id, flow, state, row_count, eid_sum, checksum, purged_at IS NOT NULL, consolidated_at IS NOT NULL
FROM rsp_datagovern.evidence_batch
ORDER BY window_end, batch_id
