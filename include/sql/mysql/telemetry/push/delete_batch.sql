-- Purpose: make room for the batch that is published in the same transaction: its own rows and nothing else.
-- Grain: batch.
-- Parameters: batch_id.
-- Repeatable: deleting nothing is no error.
DELETE FROM rsp_datagovern.ads_evt_ops_status_ago
WHERE batch_id = %(batch_id)s
