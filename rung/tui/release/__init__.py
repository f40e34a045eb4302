"""Release and monitoring on the screen."""
