-- Purpose: the columns of the table that is pushed, to refuse a push when they changed.
-- Grain: column.
DESCRIBE cma.ads_evt_ops_status
