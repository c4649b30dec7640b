-- Purpose: forget what a confirming pass saw on masters that are none of the instance any more, in the transaction that
--          forgets these scans.
-- Grain: one row a point and scan of the pass.
-- Parameters: ticket_id, pass_number, instance, identities (of the scans that count).
-- Repeatable: what is forgotten is gone. Confirming deletes nothing, so no count of a deletion is lost.
DELETE FROM points_lifecycle.cleanup_count
WHERE ticket_id = %(ticket_id)s AND phase = 'confirm' AND pass_number = %(pass_number)s
  AND instance = %(instance)s AND identity NOT IN %(identities)s
