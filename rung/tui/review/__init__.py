"""The Review screen: a session without widgets, what is drawn of a row, and the screen that joins them."""
