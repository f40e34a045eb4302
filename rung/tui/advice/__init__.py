"""Questions and advice on the screen."""
