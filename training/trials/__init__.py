"""Short trainings outside a run: sweep and dry run."""
