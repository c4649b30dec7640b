-- Purpose: the columns of the target table, to refuse a push when they changed.
-- Grain: column.
SELECT column_name, data_type
FROM information_schema.columns
WHERE table_schema = 'rsp_datagovern' AND table_name = 'ads_evt_ops_status_ago'
ORDER BY ordinal_position
