-- Purpose: the newest verdict on the usage evidence, with what it found.
-- Grain: one row at most.
SELECT checked_at, window_start, window_end, accepted, findings
FROM rsp_datagovern.evidence_check
WHERE flow = 'window'
ORDER BY checked_at DESC
LIMIT 1
