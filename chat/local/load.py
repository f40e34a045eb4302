"""Importing transformers quietly and offline."""

from __future__ import annotations

import os
import sys
from types import ModuleType

from workspace.extras import require


def quiet_transformers(*, hub: bool = False) -> ModuleType:
    """Import transformers without its progress bars and, unless `hub`, with the hub switched off.

    `HF_HUB_OFFLINE` that the user set himself is kept either way. Raises RungError where the extra is missing.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _switch_hub(hub)
    require("train", "torch")
    transformers = require("train", "transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    return transformers


_SWITCHED = "RUNG_SET_HF_HUB_OFFLINE"


def _switch_hub(hub: bool) -> None:
    """Offline unless the user named a hub id. huggingface_hub reads the variable at import, so its copy follows."""
    if hub and os.environ.pop(_SWITCHED, ""):
        os.environ.pop("HF_HUB_OFFLINE", None)
        offline = False
    elif not hub and "HF_HUB_OFFLINE" not in os.environ:
        os.environ.update({"HF_HUB_OFFLINE": "1", _SWITCHED: "1"})
        offline = True
    else:
        return
    if constants := sys.modules.get("huggingface_hub.constants"):
        constants.HF_HUB_OFFLINE = offline  # type: ignore[attr-defined]
