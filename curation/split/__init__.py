"""Frozen datasets: how rows are split, what is refused, what is written, and the gates computed again."""
