"""`rung review`: the queue for scripts, for the lead, in files and in a browser."""
