"""Size of a training run before it starts: parameters, memory, time and money. Imports no torch."""
