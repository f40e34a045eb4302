"""Which adapters vLLM and TGI load on their base, and how much room vLLM is told to give them."""

from __future__ import annotations

import json
from pathlib import Path

SERVABLE = ("lora", "qlora", "rslora")
"""Methods whose adapters both load; of the others the whole model is served."""
VLLM_RANKS = (8, 16, 32, 64, 128, 256, 320, 512)
"""What vLLM takes as `--max-lora-rank`, but 1."""


def rank_of(adapter: Path) -> int:
    """The adapter's rank; 0 where its kind has none."""
    return int(json.loads((adapter / "adapter_config.json").read_text()).get("r") or 0)


def vllm_rank(rank: int) -> int | None:
    """The smallest `--max-lora-rank` with room for this rank; None where vLLM has none."""
    return next((size for size in VLLM_RANKS if size >= rank), None)
