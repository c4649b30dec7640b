-- Purpose: note who did what and when.
-- Grain: one row an event.
-- Parameters: every column by name.
-- Why it can be re-run: events are only ever added; a step that runs twice happened twice.
INSERT INTO points_lifecycle.audit (batch_id, environment, event, actor, detail, happened_at)
VALUES (%(batch_id)s, %(environment)s, %(event)s, %(actor)s, %(detail)s, %(happened_at)s)
