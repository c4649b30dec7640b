"""CMA telemetry at any size, from a seed, with the truth about what is in it."""
