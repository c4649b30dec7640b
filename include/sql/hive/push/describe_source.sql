-- Purpose: the columns of the table that is pushed, to refuse a push when they changed.
-- Grain: column.
-- Parameters: none.
-- Why it can be re-run: reads only.
DESCRIBE cma.ads_evt_ops_status
