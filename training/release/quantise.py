"""Forms that need what this environment has not: refused in plain words, never half made."""

from __future__ import annotations

from pathlib import Path

from training.release.making import Making
from training.release.record import Form
from workspace.errors import Refusal


def make_gptq(making: Making, folder: Path) -> Form:
    """GPTQ by llmcompressor, which pins transformers below 5.18 and so needs an environment of its own."""
    raise Refusal(
        f"gptq is not made for {making.run.id}: llmcompressor needs its own environment (transformers below 5.18).",
        "rung release --to gguf",
    )


def make_awq(making: Making, folder: Path) -> Form:
    """AWQ by llmcompressor, which refuses to run without a GPU."""
    raise Refusal(
        f"awq is not made for {making.run.id}: llmcompressor calibrates it on a GPU in an environment of its own.",
        "rung release --to gguf",
    )
