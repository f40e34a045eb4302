"""How large a training run is before it starts: parameters, memory, time and money. Imports no torch."""

from advisor.sizing.adapters import METHODS, adapter_of
from advisor.sizing.architecture import Architecture, architecture_of, read_architecture
from advisor.sizing.cards import Card, cards, find_card, prices
from advisor.sizing.config import UnknownArchitecture, find_model
from advisor.sizing.inverse import (
    BaseChoice,
    Way,
    base_for,
    cards_that_fit,
    largest_batch,
    largest_length,
    methods_that_fit,
    ways_to_fit,
)
from advisor.sizing.memory import GIB, Memory, memory_of
from advisor.sizing.run_estimate import Estimate, Workload, estimate
from advisor.sizing.setup import Setup

__all__ = [
    "GIB",
    "METHODS",
    "Architecture",
    "BaseChoice",
    "Card",
    "Estimate",
    "Memory",
    "Setup",
    "UnknownArchitecture",
    "Way",
    "Workload",
    "adapter_of",
    "architecture_of",
    "base_for",
    "cards",
    "cards_that_fit",
    "estimate",
    "find_card",
    "find_model",
    "largest_batch",
    "largest_length",
    "memory_of",
    "methods_that_fit",
    "prices",
    "read_architecture",
    "ways_to_fit",
]
