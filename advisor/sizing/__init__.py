"""How large a training run is before it starts: parameters, memory, time and money. Imports no torch."""
