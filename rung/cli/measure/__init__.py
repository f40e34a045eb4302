"""`rung baseline`, `evaluate`, `verdict`, `judge` and `trust`."""
