"""Data and dataset: rows, checks, repairs and the freeze on the screen."""
