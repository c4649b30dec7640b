-- Purpose: the datasets of collected draws and of business tables (bootstrap.sql makes the monitoring one).
-- Grain: none (datasets).
CREATE SCHEMA IF NOT EXISTS `{{ project }}.{{ source_dataset }}`
OPTIONS (location = '{{ location }}', description = 'Draws as collected from the feed, every version kept.');

CREATE SCHEMA IF NOT EXISTS `{{ project }}.{{ target_dataset }}`
OPTIONS (location = '{{ location }}', description = 'Draws and features for the business: one row a draw.');
