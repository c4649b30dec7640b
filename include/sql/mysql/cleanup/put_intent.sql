-- Purpose: write down what is about to be deleted.
-- Grain: one row a scan.
-- Parameters: ticket_id, phase, pass_number, instance, identity, master, intent, now.
-- Repeatable: the same intent gives the same row; the position does not move.
INSERT INTO points_lifecycle.cleanup_scan (
  ticket_id, phase, pass_number, instance, identity, master, cursor_position, done, intent, updated_at
) VALUES (
  %(ticket_id)s, %(phase)s, %(pass_number)s, %(instance)s, %(identity)s, %(master)s, 0, FALSE, %(intent)s, %(now)s
)
ON DUPLICATE KEY UPDATE intent = VALUES(intent), updated_at = VALUES(updated_at)
