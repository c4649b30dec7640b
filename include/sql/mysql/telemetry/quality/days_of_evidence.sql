-- Purpose: the days that the usage evidence rests on which was pushed and is still kept.
-- Grain: day; the batch that has most of it counts.
-- Parameters: first (day).
SELECT d.pt_dt, MAX(d.minutes)
FROM rsp_datagovern.evidence_batch_day AS d
JOIN rsp_datagovern.evidence_batch AS b ON b.batch_id = d.batch_id
WHERE b.flow = 'window' AND b.purged_at IS NULL AND d.pt_dt >= %(first)s
GROUP BY d.pt_dt
