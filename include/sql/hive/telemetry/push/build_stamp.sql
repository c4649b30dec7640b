-- Purpose: the stamp of the flow's last build.
-- Grain: at most one row.
-- Parameters: flow.
SELECT window_start, window_end, row_count, eid_sum, checksum
FROM cma.ads_evt_ops_build
WHERE flow = %(flow)s
