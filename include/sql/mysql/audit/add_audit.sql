-- Purpose: note who did what and when.
-- Grain: one row an event.
-- Parameters: every column by name.
-- Repeatable: events are only ever added; a step that runs twice happened twice.
INSERT INTO governance_audit.audit (batch_id, environment, event, actor, detail, happened_at)
VALUES (%(batch_id)s, %(environment)s, %(event)s, %(actor)s, %(detail)s, %(happened_at)s)
