-- Purpose: give a table another name within its dataset; whoever reads or writes the name moves with it.
-- Grain: none.
-- Parameters: none; identifiers name the dataset, the table and its new name.
-- Repeatable: the caller looks first which of the names exist.
ALTER TABLE `{{ project }}.{{ dataset }}.{{ table }}` RENAME TO {{ new_name }}
