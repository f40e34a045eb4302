"""How much fits into a model, and how its tokens are counted: from its folder, without loading it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

from workspace.extras import installed
from workspace.folder import folder_named
from workspace.settings import Settings


def context_of(folder: Path | None) -> tuple[int, Callable[[str], int] | None]:
    """Tokens that fit (0: unknown) and a counter (None: none at hand) of a local model's folder."""
    if folder is None or not (folder / "config.json").is_file():
        return 0, None
    try:
        config = json.loads((folder / "config.json").read_text())
        fits = config.get("max_position_embeddings") or config.get("n_positions") or 0
    except (OSError, ValueError, AttributeError):
        return 0, None
    tokenizer = folder / "tokenizer.json"
    if not tokenizer.is_file() or not installed("tokenizers"):
        return int(fits), None
    return int(fits), _counter(tokenizer)


def own_context(settings: Settings) -> tuple[int, Callable[[str], int] | None]:
    """The same of the model that a project's settings name, where it lies on this machine."""
    return context_of(folder_named(settings.model.base) if settings.model.provider == "local" else None)


def _counter(path: Path) -> Callable[[str], int]:
    from tokenizers import Tokenizer

    made = Tokenizer.from_file(str(path))
    return lambda text: len(made.encode(text, add_special_tokens=False).ids)
