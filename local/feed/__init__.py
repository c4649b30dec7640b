"""The simulated PC28 draw feed: what it draws, what it shows of that, and the HTTP server that shows it."""
