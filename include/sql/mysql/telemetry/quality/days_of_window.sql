-- Purpose: the days that the newest check of a window found.
-- Grain: day; one without telemetry has no row.
-- Parameters: flow; window_start, window_end (both included).
SELECT pt_dt, minutes
FROM rsp_datagovern.evidence_day
WHERE flow = %(flow)s AND pt_dt BETWEEN %(window_start)s AND %(window_end)s
