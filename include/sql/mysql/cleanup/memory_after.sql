-- Purpose: keep an instance's memory after the last pass.
-- Grain: one row an instance of a ticket.
-- Parameters: ticket_id, instance, bytes.
-- Repeatable: the last value stays.
UPDATE points_lifecycle.cleanup_memory
SET bytes_after = %(bytes)s
WHERE ticket_id = %(ticket_id)s AND instance = %(instance)s
