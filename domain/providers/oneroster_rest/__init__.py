"""OneRoster 1.1 and 1.2 over REST, and every roster server that speaks it."""
