-- Purpose: the columns of a monitoring view that checks judge.
-- Grain: that of the view.
-- Parameters: none; the identifiers view and columns come from include/config/checks.yaml.
SELECT
  {{ columns | join(', ') }}
FROM `{{ project }}.{{ monitor_dataset }}.{{ view }}`;
