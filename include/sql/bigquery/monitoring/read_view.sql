-- Purpose: the columns of a monitoring view that checks judge.
-- Grain: that of the view.
-- Parameters: none; the identifiers view and columns come from include/config/checks.yaml.
-- Why it can be re-run: a query.

SELECT
  {{ columns | join(', ') }}
FROM `{{ project }}.{{ monitor_dataset }}.{{ view }}`;
