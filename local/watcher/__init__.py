"""The external watcher of the embedded stack."""
