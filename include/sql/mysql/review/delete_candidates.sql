-- Purpose: make room for the candidates of a report that is run again.
-- Grain: every candidate of the batch.
-- Parameters: batch_id.
-- Repeatable: part of the transaction that inserts them again.
DELETE FROM points_lifecycle.candidate
WHERE batch_id = %(batch_id)s
