-- Purpose: what was about to be deleted when a sweep ended without recording it.
-- Grain: one row a scan that has an intent.
-- Parameters: ticket_id, instance.
SELECT phase, pass_number, master, identity, intent
FROM points_lifecycle.cleanup_scan
WHERE ticket_id = %(ticket_id)s AND instance = %(instance)s AND intent IS NOT NULL
