"""Rows that are alike: duplicates, near rows and leaks, by one definition (`words`)."""
