"""transformers, imported quietly, with the hub switched off unless a model comes from there."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import sys
import warnings
from types import ModuleType

from workspace.extras import require

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3
"""glibc's names, malloc.h."""
_SWITCHED = "RUNG_SET_HF_HUB_OFFLINE"
_UNTOLD = (
    ("HF_HUB_DISABLE_TELEMETRY", "1", "huggingface_hub.constants"),
    ("HF_UPDATE_DOWNLOAD_COUNTS", "0", "datasets.config"),
)
"""Variables, and the modules that keep a copy of them from their import on."""


def quiet_transformers(*, hub: bool = False) -> ModuleType:
    """Import transformers without its progress bars and, unless `hub`, with the hub switched off.

    `HF_HUB_OFFLINE` that the user set himself is kept either way; nothing is counted for or sent to the hub, unless he
    set that himself too. Raises RungError if the extra is missing.
    """
    os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    _switch_hub(hub)
    tell_nobody()
    _keep_freed_memory()
    require("train", "torch")
    transformers = require("train", "transformers")
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    warnings.filterwarnings("ignore", category=FutureWarning, module="transformers")
    logging.getLogger("bitsandbytes").setLevel(logging.ERROR)
    return transformers


def _keep_freed_memory() -> None:
    """Let glibc keep what a tensor on the CPU frees for the next one, which is else mapped and zeroed again.

    Other C libraries have no `mallopt`. The largest map threshold that every glibc takes is 32 MiB.
    """
    with contextlib.suppress(AttributeError, OSError, TypeError):
        options = ctypes.CDLL(None).mallopt
        options(M_MMAP_THRESHOLD, 32 * 2**20)
        options(M_TRIM_THRESHOLD, 2**31 - 1)


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


def tell_nobody() -> None:
    """Unless they are set not to, trl reports each trainer to Hugging Face, and datasets each reading of a file."""
    for name, value, module in _UNTOLD:
        if name not in os.environ:
            os.environ[name] = value
            if read := sys.modules.get(module):
                setattr(read, name, value == "1")
