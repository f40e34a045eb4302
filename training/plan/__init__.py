"""Working out a plan: the recipe, the values with their reasons, the rows, and whether it fits the machine."""
