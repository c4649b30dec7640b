-- Purpose: forget a confirming pass over masters that are none of the instance any more: restarted, failed over, or with
--          other slots. Others hold their keys now and were scanned for them; both would count the same key twice.
-- Grain: one row a scan of the pass.
-- Parameters: ticket_id, pass_number, instance, identities (of the scans that count).
-- Repeatable: what is forgotten is gone. Confirming deletes nothing, so no count of a deletion is lost.
DELETE FROM points_lifecycle.cleanup_scan
WHERE ticket_id = %(ticket_id)s AND phase = 'confirm' AND pass_number = %(pass_number)s
  AND instance = %(instance)s AND identity NOT IN %(identities)s
