"""Short trainings that choose or forecast: sweep, learning curve, dry run."""
