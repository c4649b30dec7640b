-- Purpose: keep an instance's memory before the first pass.
-- Grain: one row an instance of a ticket.
-- Parameters: ticket_id, instance, bytes.
-- Repeatable: the first value stays.
INSERT IGNORE INTO points_lifecycle.cleanup_memory (ticket_id, instance, bytes_before)
VALUES (%(ticket_id)s, %(instance)s, %(bytes)s)
