"""What the triggerer waits for while a task is deferred."""
