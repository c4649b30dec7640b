-- Purpose: whose changes a server's journal keeps: those of its own environment, or connections were swapped.
-- Grain: one row an environment.
-- Parameters: journal_schema (identifier).
SELECT environment, COUNT(*) AS changes
FROM `{{ journal_schema }}`.points_journal
GROUP BY environment
