-- Purpose: the newest migration that was applied to a server.
-- Grain: one row; none before the first migration.
-- Parameters: schema (identifier).
SELECT version_num FROM `{{ schema }}`.schema_version
