"""From settings to a model, with the imports only that this one needs."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from chat.protocols import Progress
from workspace.errors import RungError
from workspace.settings import ModelSettings

if TYPE_CHECKING:
    from chat.local.load import Precision
    from chat.local.model import LocalModel
    from chat.protocols import ChatModel


def open_model(
    settings: ModelSettings,
    *,
    adapter: Path | None = None,
    batch: int = 24,
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> ChatModel:
    """The model that `[model]` names. A local one is Scorer and Tokenizer too.

    `adapter` is a peft folder and goes with local models only. Raises RungError where the extra, the model or the
    key is missing. Whether rows may be sent is not decided here: see `chat.privacy`.
    """
    if settings.provider == "local":
        return open_local(settings, adapter=adapter, batch=batch, precision=precision, progress=progress)
    if adapter is not None:
        raise RungError(f"An adapter needs a local model; [model] provider is {settings.provider}.", where="rung.toml")
    raise RungError(f"[model] provider = {settings.provider}: not available yet.", where="rung.toml")


def open_local(
    settings: ModelSettings,
    *,
    adapter: Path | None = None,
    batch: int = 24,
    precision: Precision = "auto",
    progress: Progress | None = None,
) -> LocalModel:
    """As `open_model` for a model on this machine, typed as what it is."""
    from chat.local.load import load
    from chat.local.model import LocalModel

    loaded = load(settings.base, adapter=adapter, precision=precision, threads=settings.threads, progress=progress)
    return LocalModel(loaded, batch=batch)
