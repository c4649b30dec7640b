"""Ready for production, or what is missing: checks of everything that the connections point to; they change nothing."""
