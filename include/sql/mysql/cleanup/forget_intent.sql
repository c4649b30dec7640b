-- Purpose: forget what a scan was about to delete, in the transaction that counts it.
-- Grain: one row a scan.
-- Parameters: ticket_id, phase, pass_number, instance, identity, now.
-- Repeatable: an intent that is forgotten stays forgotten.
UPDATE points_lifecycle.cleanup_scan
SET intent = NULL, updated_at = %(now)s
WHERE ticket_id = %(ticket_id)s AND phase = %(phase)s AND pass_number = %(pass_number)s
  AND instance = %(instance)s AND identity = %(identity)s
