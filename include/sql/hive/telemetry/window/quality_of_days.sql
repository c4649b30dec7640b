-- Purpose: what the evidence check judges.
-- Grain: day.
-- Parameters: flow; first, last (yyyy-MM-dd, both included).
SELECT pt_dt, raw_rows, evt_rows, base_rows, rejected_rows, ts_rows, metrics, minutes, base_eid, ts_eid
FROM cma.evt_day_quality
WHERE flow = %(flow)s AND pt_dt BETWEEN %(first)s AND %(last)s
