-- Purpose: how many records were rejected, and why: the evidence check has a limit for each reason.
-- Grain: day, reason.
-- Parameters: flow; first, last (yyyy-MM-dd, both included).
SELECT pt_dt, reason, SUM(copies)
FROM cma.evt_rejected
WHERE flow = %(flow)s AND pt_dt BETWEEN %(first)s AND %(last)s
GROUP BY pt_dt, reason
