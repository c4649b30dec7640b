"""Local endpoints with the REST shapes of Google's control planes."""
