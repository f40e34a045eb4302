"""`rung data`: import, convert, check, deduplicate, generate, freeze."""
