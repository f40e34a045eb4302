"""How several cards share a run: by what each part is divided on one card."""

from __future__ import annotations

from dataclasses import dataclass

from advisor.sizing.setup import Setup


@dataclass(frozen=True, slots=True)
class Shards:
    """Divisors for one card; 1 means that every card holds the whole part."""

    weights: int = 1
    gradients: int = 1
    optimizer: int = 1


def shards_of(setup: Setup) -> Shards:
    """DDP shares nothing; ZeRO-1 the optimiser, ZeRO-2 gradients too, ZeRO-3 and FSDP (full shard) weights too."""
    n = setup.gpus
    return {
        "ddp": Shards(),
        "zero1": Shards(optimizer=n),
        "zero2": Shards(gradients=n, optimizer=n),
        "zero3": Shards(n, n, n),
        "fsdp": Shards(n, n, n),
    }[setup.strategy]
