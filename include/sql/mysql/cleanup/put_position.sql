-- Purpose: move a scan's position, and forget what it was about to delete.
-- Grain: one row a scan.
-- Parameters: ticket_id, phase, pass_number, instance, identity, master, cursor_position, done, now.
-- Repeatable: the same position gives the same row.
INSERT INTO points_lifecycle.cleanup_scan (
  ticket_id, phase, pass_number, instance, identity, master, cursor_position, done, intent, updated_at
) VALUES (
  %(ticket_id)s, %(phase)s, %(pass_number)s, %(instance)s, %(identity)s, %(master)s, %(cursor_position)s, %(done)s,
  NULL, %(now)s
)
ON DUPLICATE KEY UPDATE
  cursor_position = VALUES(cursor_position), done = VALUES(done), intent = NULL, updated_at = VALUES(updated_at)
