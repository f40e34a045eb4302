"""`rung release`: make a release, verify it, check a server."""
