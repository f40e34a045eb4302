"""Plan and training on the screen."""
