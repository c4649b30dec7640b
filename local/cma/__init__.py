"""CMA telemetry at any size, from a seed, with the truth about its content."""
