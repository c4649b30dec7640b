-- Purpose: add what one batch of a scan found and deleted, in the transaction that forgets its intent.
-- Grain: one row a point and scan.
-- Parameters: ticket_id, phase, pass_number, instance, identity, point_id, found, deleted, wrong_type.
-- Repeatable: it must not be: it commits together with the scan's position or intent, which is only
--          forgotten once.
INSERT INTO points_lifecycle.cleanup_count (
  ticket_id, phase, pass_number, instance, identity, point_id, found, deleted, wrong_type
) VALUES (
  %(ticket_id)s, %(phase)s, %(pass_number)s, %(instance)s, %(identity)s, %(point_id)s, %(found)s, %(deleted)s,
  %(wrong_type)s
)
ON DUPLICATE KEY UPDATE
  found = found + VALUES(found), deleted = deleted + VALUES(deleted), wrong_type = wrong_type + VALUES(wrong_type)
