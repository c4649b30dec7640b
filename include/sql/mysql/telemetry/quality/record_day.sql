-- Purpose: record the telemetry of one day, for reports that judge a window of their own.
-- Grain: day.
-- Parameters: flow, pt_dt, minutes, metrics, raw_rows, rejected_rows.
-- Repeatable: the window's days were removed in the same transaction.
INSERT INTO rsp_datagovern.evidence_day (flow, pt_dt, minutes, metrics, raw_rows, rejected_rows)
VALUES (%(flow)s, %(pt_dt)s, %(minutes)s, %(metrics)s, %(raw_rows)s, %(rejected_rows)s)
